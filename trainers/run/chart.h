// Line charts as inline SVG. Colours, dashes and fonts come from the page's style sheet: series i
// has class "si", so that one chart serves light and dark pages and paper.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tenon::run {

struct Point {
  double x = 0, y = 0;  // a y that is not finite is a gap, marked at the top
};

struct Series {
  std::string name;
  std::vector<Point> points;
};

struct Chart {
  std::string title = {};  // "Loss"
  std::string unit = {};   // of y, may be empty
  std::vector<Series> series = {};
  std::vector<double> restarts = {};  // vertical lines
  bool smooth = false;                // draw the points faint and their running mean strong
  bool from_zero = false;             // the y axis includes 0
  bool markers = false;               // a dot on each point (few of them)
  double reference = 0;               // a horizontal line, e.g. the paper's number
  std::string reference_name = {};    // empty: none
};

std::string chart_svg(const Chart& chart);

// At most `limit` points with the same outline: the lowest and highest of each of limit / 2 buckets
// of x, in order. Gaps are kept where a bucket has nothing else.
std::vector<Point> thin_out(const std::vector<Point>& points, std::size_t limit);

// Mean over about `width` neighbours on each side; gaps are skipped.
std::vector<Point> running_mean(const std::vector<Point>& points, std::size_t width);

// Distance of round axis labels (1, 2, 5 x 10^n), about `count` of them.
double tick_step(double low, double high, int count);

// A number for people: 0.0123, 1.20k, 3.4e-05.
std::string short_number(double value);

std::string html_escaped(const std::string& text);

}  // namespace tenon::run
