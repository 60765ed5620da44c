"""Runs a driver through the conformance suite, on its model and on a real card."""

_TESTING = "//nic_driver/conformance/testing:"

def driver_conformance_test(name, device, programs, deps = [], suite = "pci_suite", **kwargs):
    """Declares the test of one driver on its model.

    Args:
      name: ends in `_test`.
      device: source that defines TheDevice(), see device_under_test.h.
      programs: the driver's and the model's binaries.
      deps: what `device` needs.
      suite: "pci_suite", or "lanes_suite" for what a driver does with several lanes.
      **kwargs: passed to cc_test.
    """
    native.cc_test(
        name = name,
        srcs = [device],
        data = programs,
        deps = deps + ["//nic_driver/conformance:" + suite, _TESTING + "model_bench"],
        **kwargs
    )

def card_conformance(name, device, deps = [], suites = ["pci_suite"], **kwargs):
    """Declares the same on a real card, see testing/card_bench.h.

    A program, since it needs a machine with that card: tests/hardware/conformance.test.

    Args:
      name: what it is called.
      device: as above.
      deps: as above.
      suites: of those above.
      **kwargs: passed to cc_binary.
    """
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = [device],
        visibility = ["//tests/hardware:__subpackages__"],
        deps = deps + ["//nic_driver/conformance:" + suite for suite in suites] +
               [_TESTING + "card_bench"],
        **kwargs
    )
