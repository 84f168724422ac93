#include "race.hpp"

#include <utility>

namespace shmd::bench {

std::size_t Race::add(std::string name, std::function<void()> run) {
    return add_timed(std::move(name), [run = std::move(run)] {
        std::int64_t begin = now_ns();
        run();
        return static_cast<double>(now_ns() - begin);
    });
}

std::size_t Race::add_timed(std::string name, std::function<double()> run) {
    runners_.push_back({std::move(name), std::move(run), {}});
    return runners_.size() - 1;
}

void Race::warm_up() {
    for (std::size_t i = 0; i < runners_.size(); i++) run_block(in_turn(i), Counted::no);
    rounds_++;
}

double Race::round() {
    std::int64_t ours = 0;
    for (std::size_t i = 0; i < runners_.size(); i++) {
        Runner& runner = in_turn(i);
        std::int64_t begin = now_ns();
        run_block(runner, Counted::yes);
        if (&runner == &runners_.front()) ours = now_ns() - begin;
    }
    rounds_++;
    return static_cast<double>(ours) / 1e9;
}

void Race::run_block(Runner& runner, Counted counted) const {
    for (int i = 0; i < block_; i++) {
        double took = runner.run();
        if (counted == Counted::yes) runner.samples.add(took / operations_);
    }
}

}  // namespace shmd::bench
