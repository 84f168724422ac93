#include "table.hpp"

#include <algorithm>
#include <numeric>

#include "text.hpp"

namespace shmd::cli {
namespace {

constexpr std::size_t gap = 2;

}  // namespace

std::vector<std::size_t> Table::column_widths(std::size_t line_width) const {
    std::vector<std::size_t> widths;
    for (std::size_t column = 0; column < columns_.size(); column++) {
        std::size_t width = width_of(columns_[column].header);
        for (const Cells& row : rows_) width = std::max(width, width_of(row[column]));
        widths.push_back(width);
    }
    std::size_t others = std::accumulate(widths.begin() + 1, widths.end(), gap * (widths.size() - 1));
    if (line_width == 0 || widths.front() + others <= line_width) return widths;

    // The widest first cell whose row fits decides; the longer ones get lines of their own.
    std::size_t room = line_width > others ? line_width - others : 0;
    std::size_t widest = width_of(columns_.front().header);
    for (const Cells& row : rows_) {
        std::size_t width = width_of(row.front());
        if (width <= room) widest = std::max(widest, width);
    }
    widths.front() = widest;
    return widths;
}

void Table::append_line(std::string& out, const Cells& cells, const std::vector<std::size_t>& widths) const {
    std::string line;
    for (std::size_t column = 0; column < cells.size(); column++) {
        std::size_t width = width_of(cells[column]);
        std::string padding(width < widths[column] ? widths[column] - width : 0, ' ');
        if (column > 0) line.append(gap, ' ');
        line += columns_[column].align == Align::right ? padding + cells[column] : cells[column] + padding;
        if (column == 0 && width > widths[column]) line += '\n' + std::string(widths[column], ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
}

std::string Table::text(std::size_t line_width) const {
    std::vector<std::size_t> widths = column_widths(line_width);
    Cells headers;
    for (const Column& column : columns_) headers.push_back(column.header);
    std::string out;
    append_line(out, headers, widths);
    for (const Cells& row : rows_) append_line(out, row, widths);
    return out;
}

}  // namespace shmd::cli
