"""`driver_conformance_test`: runs a driver through the conformance suite."""

def driver_conformance_test(name, device, programs, deps = [], suite = "model_suite", **kwargs):
    """Declares the test of one driver.

    Args:
      name: ends in `_test`.
      device: source that defines TheDevice(), see device_under_test.h.
      programs: the driver's and the model's binaries.
      deps: what `device` needs.
      suite: "model_suite", or "lanes_suite" for what a driver does with several lanes.
      **kwargs: passed to cc_test.
    """
    native.cc_test(
        name = name,
        srcs = [device],
        data = programs,
        deps = deps + ["//nic_driver/conformance:" + suite],
        **kwargs
    )
