"""`fuzz_test`: one fuzz entry point, run two ways.

Plainly, `bazel test` replays the seeds and `mutations` seeded mutations of them, so
that every build and every sanitizer configuration runs the entry. With
`--config=fuzz` (clang, libFuzzer) the same target is a coverage-guided fuzzer;
`run/fuzz` runs each for a bounded time.
"""

def fuzz_test(name, srcs = [], deps = [], seeds = [], mutations = 20000, tags = [], **kwargs):
    """Declares a fuzz entry.

    Args:
      name: ends in `_fuzz`.
      srcs: defines LLVMFuzzerTestOneInput, unless a dep does.
      deps: what it parses with.
      seeds: input files to start from.
      mutations: how many the plain test replays; fewer for a slow parser.
      tags: further tags; `fuzz` is added.
      **kwargs: passed to cc_test.
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        args = ["%d" % mutations] + ["$(locations %s)" % s for s in seeds],
        data = seeds,
        linkopts = select({
            "//tests/fuzz:coverage_guided": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = tags + ["fuzz"],
        deps = deps + select({
            "//tests/fuzz:coverage_guided": [],
            "//conditions:default": ["//tests/fuzz:replay_main"],
        }),
        **kwargs
    )
