#include "sha256.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace afformer::core {
namespace {

class Sha256 {
public:
    void add(const unsigned char* bytes, std::size_t count) noexcept {
        length_ += count;
        while (count > 0) {
            const std::size_t taken = count < block_.size() - filled_ ? count : block_.size() - filled_;
            std::memcpy(block_.data() + filled_, bytes, taken);
            filled_ += taken;
            bytes += taken;
            count -= taken;
            if (filled_ == block_.size()) {
                mix();
                filled_ = 0;
            }
        }
    }

    // Lower case hex digits. Nothing may be added afterwards.
    [[nodiscard]] std::string digest() {
        const std::uint64_t bits = length_ * 8;
        const unsigned char one = 0x80, zero = 0;
        add(&one, 1);
        while (filled_ != block_.size() - 8) {
            add(&zero, 1);
        }
        std::array<unsigned char, 8> tail{};
        for (std::size_t i = 0; i < tail.size(); ++i) {
            tail[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
        }
        add(tail.data(), tail.size());
        std::string text;
        for (const std::uint32_t word : state_) {
            for (int shift = 28; shift >= 0; shift -= 4) {
                text += "0123456789abcdef"[word >> shift & 15U];
            }
        }
        return text;
    }

private:
    static std::uint32_t turned(std::uint32_t x, int by) noexcept { return x >> by | x << (32 - by); }

    void mix() noexcept {
        std::array<std::uint32_t, 64> w{};
        for (std::size_t i = 0; i < 16; ++i) {
            for (std::size_t j = 0; j < 4; ++j) {
                w[i] = w[i] << 8 | block_[4 * i + j];
            }
        }
        for (std::size_t i = 16; i < w.size(); ++i) {
            const std::uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + w[i - 7] +
                   (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
        }
        std::array<std::uint32_t, 8> s = state_;
        for (std::size_t i = 0; i < w.size(); ++i) {
            const std::uint32_t e = s[4], a = s[0];
            const std::uint32_t first = s[7] + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) +
                                        ((e & s[5]) ^ (~e & s[6])) + constants[i] + w[i];
            const std::uint32_t second =
                (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            s = {first + second, a, s[1], s[2], s[3] + first, e, s[5], s[6]};
        }
        for (std::size_t i = 0; i < s.size(); ++i) {
            state_[i] += s[i];
        }
    }

    // Fractions of the cube roots of the first 64 primes.
    static constexpr std::array<std::uint32_t, 64> constants{
        0x428a2f98U, 0x71374491U, 0xb5c0fbcfU, 0xe9b5dba5U, 0x3956c25bU, 0x59f111f1U, 0x923f82a4U, 0xab1c5ed5U,
        0xd807aa98U, 0x12835b01U, 0x243185beU, 0x550c7dc3U, 0x72be5d74U, 0x80deb1feU, 0x9bdc06a7U, 0xc19bf174U,
        0xe49b69c1U, 0xefbe4786U, 0x0fc19dc6U, 0x240ca1ccU, 0x2de92c6fU, 0x4a7484aaU, 0x5cb0a9dcU, 0x76f988daU,
        0x983e5152U, 0xa831c66dU, 0xb00327c8U, 0xbf597fc7U, 0xc6e00bf3U, 0xd5a79147U, 0x06ca6351U, 0x14292967U,
        0x27b70a85U, 0x2e1b2138U, 0x4d2c6dfcU, 0x53380d13U, 0x650a7354U, 0x766a0abbU, 0x81c2c92eU, 0x92722c85U,
        0xa2bfe8a1U, 0xa81a664bU, 0xc24b8b70U, 0xc76c51a3U, 0xd192e819U, 0xd6990624U, 0xf40e3585U, 0x106aa070U,
        0x19a4c116U, 0x1e376c08U, 0x2748774cU, 0x34b0bcb5U, 0x391c0cb3U, 0x4ed8aa4aU, 0x5b9cca4fU, 0x682e6ff3U,
        0x748f82eeU, 0x78a5636fU, 0x84c87814U, 0x8cc70208U, 0x90befffaU, 0xa4506cebU, 0xbef9a3f7U, 0xc67178f2U};

    // Fractions of the square roots of the first 8 primes.
    std::array<std::uint32_t, 8> state_{0x6a09e667U, 0xbb67ae85U, 0x3c6ef372U, 0xa54ff53aU,
                                        0x510e527fU, 0x9b05688cU, 0x1f83d9abU, 0x5be0cd19U};
    std::array<unsigned char, 64> block_{};
    std::size_t filled_ = 0;
    std::uint64_t length_ = 0;
};

}  // namespace

std::string sha256(const void* bytes, std::size_t count) {
    Sha256 hash;
    hash.add(static_cast<const unsigned char*>(bytes), count);
    return hash.digest();
}

}  // namespace afformer::core
