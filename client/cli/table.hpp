// Aligned columns of text.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace shmd::cli {

class Table {
  public:
    enum class Align { left, right };
    struct Column {
        std::string header;
        Align align = Align::left;
    };

    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    /// As many cells as there are columns, already printable.
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

    /// The header and the rows, one line each, without spaces at their ends. With a line_width, a first cell too long
    /// for its row to fit stands on a line of its own, whole, so that the others stay aligned. 0: no limit.
    [[nodiscard]] std::string text(std::size_t line_width = 0) const;

  private:
    using Cells = std::vector<std::string>;
    [[nodiscard]] std::vector<std::size_t> column_widths(std::size_t line_width) const;
    void append_line(std::string& out, const Cells& cells, const std::vector<std::size_t>& widths) const;

    std::vector<Column> columns_;
    std::vector<Cells> rows_;
};

}  // namespace shmd::cli
