// Texts in errors and on command lines.
#pragma once

#include <afformer/image.hpp>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace afformer::core {

// A path in UTF-8, as all texts of this library are.
[[nodiscard]] std::string text_of(const std::filesystem::path& path);

// `HEIGHTxWIDTH`.
[[nodiscard]] std::string text_of(Size size);

// How many bytes of a UTF-8 text to keep so that at most `most` are kept, and no character in part.
[[nodiscard]] std::size_t cut_utf8(std::string_view text, std::size_t most) noexcept;

// The first line that is not blank.
[[nodiscard]] std::string first_line(std::string text);

// In one line, without blanks at its ends or more than one between words.
[[nodiscard]] std::string one_line(std::string_view text);

// A parser's message in printable ASCII and at most 300 characters: it quotes what it stumbled over.
[[nodiscard]] std::string quotable(std::string message);

// A word as a shell takes it.
[[nodiscard]] std::string shell_quoted(const std::string& word);

}  // namespace afformer::core
