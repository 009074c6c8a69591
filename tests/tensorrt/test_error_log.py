from __future__ import annotations

from afformer.tensorrt.error_log import error_log
from tests.nvidia.pretend import machine_with_gpu


def test_only_errors_are_kept_and_the_first_is_given_in_one_line() -> None:
    with machine_with_gpu() as machine:
        severity = machine.tensorrt.ILogger.Severity
        log = error_log(machine.tensorrt)
        assert error_log(machine.tensorrt) is log
        assert "no reason" in log.reason()
        for level, message in ((severity.WARNING, "well"), (severity.ERROR, "first\n  of two"), (severity.ERROR, "x")):
            log.logger.log(level, message)
        assert log.reason() == "first of two"
        log.clear()
        for number in range(1000):
            log.logger.log(severity.INTERNAL_ERROR, str(number))
        assert len(log.messages) == 100
