/* A plugin of qemu-user that counts the instructions of an emulated 64-bit ARM program, for `arm.py`.

   The program makes the system call number MARK, which no kernel has; for each the plugin writes a line into the file
   of its argument `out`: the instructions so far, those that multiply vectors of floats, and those that multiply vectors
   of 8-bit integers. One thread is counted right; two that run at the same time may lose some.

   The plugin interface of QEMU 7 and 8, as far as it is used here, is declared below: Debian has no package of its
   header. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated)(plugin_id, struct qemu_plugin_tb *);
typedef void (*called)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t);
enum { ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, called);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

enum { MARK = 5000 };
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t all, floats, bytes;
static FILE *out;

struct pattern {
    uint32_t mask, value;
};

/* FMLA and FMUL of vectors, also by element: Arm's manual, "Advanced SIMD three same" and "vector x indexed element". */
static const struct pattern FLOATS[] = {
    {0xBFA0FC00, 0x0E20CC00}, {0xBF80F400, 0x0F801000}, {0xBFA0FC00, 0x2E20DC00}, {0xBF80F400, 0x0F809000}};

/* SDOT, UDOT, also by element; SMMLA, UMMLA, USMMLA; SMULL, UMULL, SMLAL and UMLAL, also of the upper half. */
static const struct pattern BYTES[] = {{0x9FE0FC00, 0x0E809400}, {0x9FC0F400, 0x0F80E000}, {0xDFE0F400, 0x4E80A400},
                                       {0x9F20FC00, 0x0E20C000}, {0x9F20FC00, 0x0E208000}, {0x9F00F400, 0x0F00A000},
                                       {0x9F00F400, 0x0F002000}};

static bool is_one_of(uint32_t word, const struct pattern *patterns, size_t count) {
    for (size_t i = 0; i < count; i++)
        if ((word & patterns[i].mask) == patterns[i].value) return true;
    return false;
}

static void on_translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    uint64_t count = qemu_plugin_tb_n_insns(block), of_floats = 0, of_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        of_floats += is_one_of(word, FLOATS, sizeof FLOATS / sizeof *FLOATS);
        of_bytes += is_one_of(word, BYTES, sizeof BYTES / sizeof *BYTES);
    }
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &all, count);
    if (of_floats) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &floats, of_floats);
    if (of_bytes) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &bytes, of_bytes);
}

static void on_call(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                    uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != MARK) return;
    fprintf(out, "%llu %llu %llu\n", (unsigned long long)all, (unsigned long long)floats, (unsigned long long)bytes);
    fflush(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w"))) {
        fprintf(stderr, "arm_count: expected one argument, out=FILE, a file that can be written\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
