// Measures several ways to the same end in turns, so that whatever else the machine does meets all of them alike.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "samples.hpp"

namespace shmd::bench {

class Race {
  public:
    /// In each round every runner runs `block` times in a row, and each run is a sample. What is too short for the
    /// clock is done `operations` times in a run; the sample is then their mean.
    explicit Race(int block, int operations = 1) : block_(block), operations_(operations) {}

    /// Returns the runner's number. The first one, 0, is ours.
    std::size_t add(std::string name, std::function<void()> run);
    /// For what is not wholly to be counted: the run itself says how many nanoseconds it took.
    std::size_t add_timed(std::string name, std::function<double()> run);

    /// Rounds change their order from one to the next. This one is not counted.
    void warm_up();
    /// This one is. Returns the seconds that runner 0 took.
    double round();

    [[nodiscard]] const std::string& name(std::size_t runner) const { return runners_.at(runner).name; }
    [[nodiscard]] const Samples& samples(std::size_t runner) const { return runners_.at(runner).samples; }
    [[nodiscard]] std::size_t size() const { return runners_.size(); }

  private:
    struct Runner {
        std::string name;
        std::function<double()> run;  // gives nanoseconds
        Samples samples;
    };
    [[nodiscard]] Runner& in_turn(std::size_t i) { return runners_[(i + rounds_) % runners_.size()]; }
    enum class Counted { no, yes };
    void run_block(Runner& runner, Counted counted) const;

    int block_;
    int operations_;
    std::size_t rounds_ = 0;
    std::vector<Runner> runners_;
};

}  // namespace shmd::bench
