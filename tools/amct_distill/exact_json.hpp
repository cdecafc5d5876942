// SPDX-License-Identifier: Apache-2.0
/// JSON whose numbers are the nearest ones to what is written. (Boost.JSON's own are now and then one step
/// beside: a report that is drawn from its file would differ from it in the last digit.)
///
///     boost::json::value json = read_json("out/report.json");
#pragma once
#include <boost/json/value.hpp>
#include <filesystem>

namespace tool {

/// Throws ConfigError when the file cannot be read, std::invalid_argument when it is no JSON.
boost::json::value read_json(const std::filesystem::path& path);

}  // namespace tool
