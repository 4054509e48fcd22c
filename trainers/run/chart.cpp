#include "trainers/run/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "trainers/run/progress.h"

namespace tenon::run {
namespace {

constexpr double kWidth = 720, kHeight = 250;
constexpr double kLeft = 58, kRight = 14, kTop = 14, kBottom = 34;
constexpr std::size_t kMaxPoints = 2000;

// One axis: data values to pixels, linear or logarithmic.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool log = false;

  double at(double v) const {
    const double share = log ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
    return from + share * (to - from);
  }
  std::vector<double> ticks(int count) const {
    std::vector<double> all;
    if (log) {
      // The more decades, the fewer labels in each.
      const double range = high / low;
      const std::vector<double> marks = range < 12    ? std::vector<double>{1, 1.5, 2, 3, 4, 5, 7}
                                        : range < 300 ? std::vector<double>{1, 2, 5}
                                                      : std::vector<double>{1};
      for (double p = std::pow(10.0, std::floor(std::log10(low))); p <= high * 1.001; p *= 10)
        for (double m : marks)
          if (p * m >= low * 0.999 && p * m <= high * 1.001) all.push_back(p * m);
      return all;
    }
    const double step = tick_step(low, high, count);
    for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k)
      all.push_back(k * step == 0 ? 0.0 : k * step);
    return all;
  }
};

void include(Axis& axis, double v) {
  axis.low = std::min(axis.low, v);
  axis.high = std::max(axis.high, v);
}

// A little room around the data; never an empty range.
void widen(Axis& axis, bool from_zero) {
  if (!(axis.low <= axis.high)) axis.low = 0, axis.high = 1;
  if (from_zero) axis.low = std::min(axis.low, 0.0);
  const double pad = axis.high > axis.low ? 0.05 * (axis.high - axis.low)
                                          : std::max(1e-12, 0.05 * std::abs(axis.high));
  if (!(from_zero && axis.low == 0)) axis.low -= pad;
  axis.high += pad;
  if (axis.low >= axis.high) axis.high = axis.low + 1;
}

std::string path_of(const std::vector<Point>& points, const Axis& x, const Axis& y) {
  std::string d;
  bool pen = false;
  for (const Point& p : points) {
    if (!std::isfinite(p.y) || (y.log && p.y <= 0)) {
      pen = false;
      continue;
    }
    d += fmt::format("{}{:.1f} {:.1f}", pen ? "L" : "M", x.at(p.x), y.at(p.y));
    pen = true;
  }
  return d;
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string short_number(double v) {
  if (!std::isfinite(v)) return "not finite";
  const double a = std::abs(v);
  if (a >= 9999.5) return format_rate(v);
  if (a != 0 && a < 1e-3) return fmt::format("{:.3g}", v);
  return fmt::format("{:.4g}", v);
}

double tick_step(double low, double high, int count) {
  const double raw = (high - low) / std::max(1, count);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double m : {1.0, 2.0, 5.0})
    if (raw <= m * power * 1.0001) return m * power;
  return 10 * power;
}

std::vector<Point> thin_out(const std::vector<Point>& points, std::size_t limit) {
  if (points.size() <= limit) return points;
  const std::size_t buckets = std::max<std::size_t>(1, limit / 2);
  const double low = points.front().x, width = points.back().x - low;
  std::vector<Point> out;
  out.reserve(limit);
  std::size_t begin = 0;
  for (std::size_t b = 0; b < buckets && begin < points.size(); ++b) {
    const double edge = low + width * static_cast<double>(b + 1) / static_cast<double>(buckets);
    std::size_t end = begin;
    std::size_t lowest = points.size(), highest = points.size();
    for (; end < points.size() && (points[end].x <= edge || b + 1 == buckets); ++end) {
      if (!std::isfinite(points[end].y)) continue;
      if (lowest == points.size() || points[end].y < points[lowest].y) lowest = end;
      if (highest == points.size() || points[end].y > points[highest].y) highest = end;
    }
    if (end == begin) continue;
    if (lowest == points.size()) {
      out.push_back(points[begin]);  // only gaps here
    } else {
      out.push_back(points[std::min(lowest, highest)]);
      if (lowest != highest) out.push_back(points[std::max(lowest, highest)]);
    }
    begin = end;
  }
  return out;
}

std::vector<Point> running_mean(const std::vector<Point>& points, std::size_t width) {
  // Prefix sums over the finite values.
  std::vector<double> sum(points.size() + 1, 0);
  std::vector<std::size_t> count(points.size() + 1, 0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool good = std::isfinite(points[i].y);
    sum[i + 1] = sum[i] + (good ? points[i].y : 0);
    count[i + 1] = count[i] + (good ? 1 : 0);
  }
  std::vector<Point> out;
  out.reserve(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    // At the start, where curves are steep, the window shrinks so that it stays centred; at the end
    // it does not, or the line would end in the noise of its last point.
    const std::size_t left = std::min(width, i);
    const std::size_t right = std::min(left, points.size() - 1 - i);
    const std::size_t n = count[i + right + 1] - count[i - left];
    if (n > 0)
      out.push_back({points[i].x, (sum[i + right + 1] - sum[i - left]) / static_cast<double>(n)});
  }
  return out;
}

std::string chart_svg(const Chart& chart) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  Axis x{inf, -inf, kLeft, kWidth - kRight, false};
  Axis y{inf, -inf, kHeight - kBottom, kTop, false};
  double smallest_positive = inf;
  bool all_positive = true;
  std::string description;
  for (const Series& s : chart.series) {
    for (const Point& p : s.points) {
      include(x, p.x);
      if (!std::isfinite(p.y)) continue;
      include(y, p.y);
      if (p.y > 0)
        smallest_positive = std::min(smallest_positive, p.y);
      else
        all_positive = false;
    }
    const auto last = std::find_if(s.points.rbegin(), s.points.rend(),
                                   [](const Point& p) { return std::isfinite(p.y); });
    if (last != s.points.rend())
      description +=
          fmt::format("{}: {} at step {}. ", s.name, short_number(last->y), short_number(last->x));
  }
  if (!chart.reference_name.empty()) include(y, chart.reference);
  // Losses fall steeply at first; a linear axis would show only that.
  y.log = !chart.from_zero && all_positive && y.high / smallest_positive > (chart.smooth ? 5 : 20);
  if (y.log) {
    y.low = smallest_positive / 1.1;
    y.high *= 1.1;
  } else {
    widen(y, chart.from_zero);
  }
  if (!(x.low < x.high)) x.low = std::isfinite(x.low) ? x.low - 0.5 : 0, x.high = x.low + 1;

  std::string out =
      fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\"><title>{}</title><desc>{}</desc>\n",
                  kWidth, kHeight, html_escaped(chart.title), html_escaped(description));
  for (double v : y.ticks(5)) {
    out += fmt::format("<path class=\"grid\" d=\"M{:g} {:.1f}H{:g}\"/>", kLeft, y.at(v),
                       kWidth - kRight);
    out +=
        fmt::format("<text class=\"tick\" x=\"{:g}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                    kLeft - 6, y.at(v) + 4, short_number(v));
  }
  for (double v : x.ticks(8))
    out += fmt::format(
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:g}\" text-anchor=\"middle\">{}</text>\n", x.at(v),
        kHeight - kBottom + 16, short_number(v));
  out += fmt::format("<path class=\"axis\" d=\"M{:g} {:g}H{:g}\"/>", kLeft, kHeight - kBottom,
                     kWidth - kRight);
  out += fmt::format("<text class=\"tick\" x=\"{:g}\" y=\"{:g}\" text-anchor=\"end\">step</text>\n",
                     kWidth - kRight, kHeight - 4);
  for (double v : chart.restarts) {
    if (v < x.low || v > x.high) continue;
    out += fmt::format(
        "<path class=\"restart\" d=\"M{0:.1f} {1:g}V{2:g}\"><title>resumed at step "
        "{3}</title></path>"
        "<text class=\"tick\" x=\"{4:.1f}\" y=\"{5:g}\">resumed</text>\n",
        x.at(v), kTop, kHeight - kBottom, short_number(v), x.at(v) + 4, kTop + 8);
  }
  if (!chart.reference_name.empty())
    out += fmt::format(
        "<path class=\"reference\" d=\"M{0:g} {1:.1f}H{2:g}\"/><text class=\"tick\" x=\"{3:g}\" "
        "y=\"{4:.1f}\">{5}</text>\n",
        kLeft, y.at(chart.reference), kWidth - kRight, kLeft + 6, y.at(chart.reference) - 5,
        html_escaped(chart.reference_name));
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const std::vector<Point>& points = chart.series[i].points;
    const std::size_t color = i % 6;
    const bool smooth = chart.smooth && points.size() >= 30;
    if (smooth)
      out += fmt::format("<path class=\"line s{} faint\" d=\"{}\"/>\n", color,
                         path_of(thin_out(points, kMaxPoints), x, y));
    const auto main =
        smooth ? running_mean(points, std::max<std::size_t>(5, points.size() / 60)) : points;
    out += fmt::format("<path class=\"line s{}\" d=\"{}\"/>\n", color,
                       path_of(thin_out(main, smooth ? kMaxPoints / 4 : kMaxPoints), x, y));
    // A line of one point is invisible.
    if (chart.markers || points.size() == 1)
      for (const Point& p : points)
        if (std::isfinite(p.y) && !(y.log && p.y <= 0))
          out += fmt::format(
              "<circle class=\"dot s{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"><title>step {}: {}"
              "</title></circle>\n",
              color, x.at(p.x), y.at(p.y), short_number(p.x), short_number(p.y));
    std::size_t marks = 0;
    for (const Point& p : points)
      if (!std::isfinite(p.y) && ++marks <= 50)
        out += fmt::format(
            "<path class=\"bad\" d=\"M{:.1f} {:g}l4 -8h-8z\"><title>not finite at step {}</title>"
            "</path>\n",
            x.at(p.x), kTop + 4, short_number(p.x));
  }
  return out + "</svg>\n";
}

}  // namespace tenon::run
