#include "text.hpp"

#include <algorithm>

namespace afformer::core {

std::string text_of(const std::filesystem::path& path) {
    const auto text = path.u8string();  // from C++20 on, not a std::string
    return {text.begin(), text.end()};
}

std::string text_of(Size size) { return std::to_string(size.height) + "x" + std::to_string(size.width); }

std::size_t cut_utf8(std::string_view text, std::size_t most) noexcept {
    if (text.size() <= most) {
        return text.size();
    }
    const auto continues = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U; };
    while (most > 0 && continues(most)) {
        --most;
    }
    return most;
}

std::string first_line(std::string text) {
    const char* blank = " \t\r\n";
    text.erase(0, std::min(text.find_first_not_of(blank), text.size()));
    text.erase(std::min(text.find('\n'), text.size()));
    text.erase(text.find_last_not_of(blank) + 1);
    return text;
}

std::string one_line(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        if (!blank || (!line.empty() && line.back() != ' ')) {
            line += blank ? ' ' : c;
        }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

std::string quotable(std::string message) {
    constexpr std::size_t most = 300;
    if (message.size() > most) {
        message.replace(most, std::string::npos, "...");
    }
    std::replace_if(message.begin(), message.end(), [](char letter) { return letter < ' ' || letter > '~'; }, '?');
    return message;
}

std::string shell_quoted(const std::string& word) {
    constexpr const char* plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
        return word;
    }
    std::string quoted = "'";
    for (const char letter : word) {
        quoted += letter == '\'' ? std::string("'\"'\"'") : std::string(1, letter);
    }
    return quoted + "'";
}

}  // namespace afformer::core
