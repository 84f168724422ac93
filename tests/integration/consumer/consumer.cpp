#include <iostream>
#include <shmd/ring.hpp>
#include <shmd/shmd.hpp>
#include <string>
#include <string_view>

int main(int argc, char** argv) {
    if (argc != 2 || shmd::version() != argv[1]) return 1;
    try {
        shmd::Client client(std::string("/nonexistent/io.shmd.Segments"));
        return 2;
    } catch (const shmd::Error& error) {
        std::cout << error.what() << '\n';
        if (error.code() != std::errc::connection_refused || !error.name().empty()) return 3;
        return std::string_view(error.what()).find("/nonexistent/io.shmd.Segments") != std::string_view::npos ? 0 : 4;
    }
}
