"""The worker's process: from start to an orderly stop, or to an end that its supervisor sees.

Whatever goes wrong ends the process non-zero within a deadline, the cause on its last line: threads that block would
keep an ordinary exit waiting.
"""

import asyncio
import logging
import signal
import time
from typing import Any, NoReturn

from processors.context import Context
from stream import interpreter, logs
from stream.app import build_app
from stream.cluster import ClusterError
from stream.ending import EXIT_FAILED, end, end_after
from stream.engine import Engine
from stream.health import Health
from stream.judgement import context_of
from stream.monitor import Monitor
from stream.probes import ProbeServer
from stream.settings import Settings, effective, env_name
from stream.telemetry import Metrics

_log = logging.getLogger(__name__)


def run_worker(settings: Settings) -> NoReturn:
    """Run a worker until SIGTERM or SIGINT; ends the process.

    Raises:
        SettingsError, PolicyError, ChurnModelError, CutPointsFileError: before anything is started.
    """
    context = context_of(settings)
    logs.configure(settings.log_level, settings.log_format)
    interpreter.tune()
    asyncio.run(_run(settings, context))
    raise AssertionError("a worker ends its process")


async def _run(settings: Settings, context: Context) -> NoReturn:
    metrics, health = Metrics(), Health(settings.stuck_deadline_seconds)
    monitor = Monitor(metrics, health, context.policy, settings.topics, settings.clock)
    metrics.set_cut_point_source("census" if context.cuts is None else "file")
    probes = ProbeServer(settings.http_host, settings.http_port, health, metrics.registry)
    try:
        probes.start()
    except OSError as error:
        _log.critical("probes and metrics on %s:%s: %s", settings.http_host, settings.http_port, error.strerror)
        end(EXIT_FAILED)
    _log.info("probes and metrics on port %s", probes.port)
    if settings.erasure_secret is None:
        _log.warning(
            "%s is not set: erased accounts are remembered under hashes that can be guessed", env_name("erasure_secret")
        )
    for name, value in effective(settings):
        _log.debug("%s=%s", name, value)
    try:
        await _work(settings, Engine(settings, context, monitor, _wall_clock_ms))
    except ClusterError as error:
        _log.critical("%s", error)
    except Exception as error:  # noqa: BLE001  # whatever it is, the supervisor has to see it
        _log.exception("the worker could not start")
        _log.critical("the worker could not start: %r", error)
    # At once: an ordinary end would wait for threads.
    end(EXIT_FAILED)


async def _work(settings: Settings, engine: Engine) -> NoReturn:
    await engine.connect()
    app = build_app(settings, engine)
    # Faust configures loggers of its own.
    logs.configure(settings.log_level, settings.log_format)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # The group is joined and partitions are restored while Faust starts.
    await engine.start()
    await app.start()
    await _until_stopped(settings, engine, stopped)


async def _until_stopped(settings: Settings, engine: Engine, stopped: asyncio.Event) -> NoReturn:
    stopping = asyncio.ensure_future(stopped.wait())
    waited: set[asyncio.Future[Any]] = {stopping, engine.failure}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not engine.failure.done():
        _log.info("stopping")
        end_after(settings.grace_period_seconds, "not stopped within the grace period")
        await engine.stop()
    if engine.failure.done():
        _log.critical("%s", engine.failure.result())
        # An open transaction is left to the next start, which aborts it at once.
        end(EXIT_FAILED)
    _log.info("stopped")
    # Faust has nothing to finish: partitions, offsets and outputs are the engine's.
    end(0)


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000
