"""The same on Dagster: a job that loads all units, a daily asset for each source, and a schedule for these.

Dagster retries, limits and shows; what a unit is and when it is done stands in `unit`, so a job that was cut off is
simply started again. The outputs that Dagster passes between steps are a few bytes each, in the backfill's folder.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import dagster as dg

from trunkline import instants
from trunkline_orchestrate import bookmarks, sources, unit
from trunkline_orchestrate.plan import Unit

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline_orchestrate.sources import Settings, Source
    from trunkline_orchestrate.unit import Result

TAG = "trunkline/source"
"""The tag of every step that sends requests to a vendor: the executor counts a source's limit by it.

The units have no pool of Dagster's: a step that is killed keeps its place in one until its run ends, and the run would
wait for that place.
"""

HOUR = 1
"""UTC hour at which the day before is loaded."""


def definitions(path: Path, executor: dg.ExecutorDefinition | None = None) -> dg.Definitions:
    """Make all definitions for Dagster.

    Args:
        path: The settings file.
        executor: What runs the steps; by default processes of this machine, `workers` at once.

    Raises:
        SettingsInvalid: Something in the file can't be.
    """
    settings = sources.load(path)
    runs = executor or processes(settings)
    days = dg.DailyPartitionsDefinition(start_date=_first_day(settings), timezone="UTC")
    assets = [daily(settings, source, days) for source in settings.sources.values()]
    by_day = dg.define_asset_job("daily", selection=assets, executor_def=runs)
    return dg.Definitions(
        assets=assets,
        jobs=[backfill(settings, runs), by_day],
        schedules=[dg.build_schedule_from_partitioned_job(by_day, hour_of_day=HOUR)],
        resources={"io_manager": dg.FilesystemIOManager(base_dir=str((settings.folder / "dagster").absolute()))},
    )


def processes(settings: Settings) -> dg.ExecutorDefinition:
    """Return an executor of processes on this machine: `workers` at once, and of each source as many as its limit."""
    limits = [{"key": TAG, "value": source.name, "limit": source.limit} for source in settings.sources.values()]
    config = {
        "max_concurrent": settings.workers,
        "tag_concurrency_limits": limits,
        # A step then starts from a process that has Dagster imported already: seconds for each unit.
        "start_method": {"forkserver": {"preload_modules": ["dagster", "trunkline_orchestrate.unit"]}},
    }
    made: dg.ExecutorDefinition = dg.multiprocess_executor.configured(config)
    return made


def retries(settings: Settings) -> dg.RetryPolicy:
    """Return how often a unit that failed is tried again, and when."""
    return dg.RetryPolicy(
        max_retries=settings.retries,
        delay=settings.retry_delay.total_seconds(),
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


# -- the backfill ------------------------------------------------------------------------------------------------------


def backfill(settings: Settings, executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    """Return the job: for each source its plan, its units, its bookmark at the end; a failed source stops no other."""
    steps = [
        (_plan_op(settings, source), _load_op(settings, source), _mark_op(settings, source))
        for source in settings.sources.values()
    ]

    def compose() -> None:
        for plan, load, mark in steps:
            mark(plan().map(load).collect())

    graph = dg.graph(name="backfill")(compose)
    job: dg.JobDefinition = graph.to_job(
        name="backfill",
        description="Load every unit that is not done, then set the bookmarks that the plain runs go on from.",
        executor_def=executor,
    )
    return job


def _plan_op(settings: Settings, source: Source) -> dg.OpDefinition:
    def plan() -> list[dg.DynamicOutput[Any]]:
        unit.check(source)  # once, here: else each try of each unit would send wrong credentials
        units = unit.planned(settings, source.name)
        left = [one for one in units if unit.finished(settings, one) is None]
        _log(f"{source.name}: {len(left)} of {len(units)} units are to be done")
        return [dg.DynamicOutput(one.to_json(), mapping_key=one.key) for one in left]

    return dg.op(name=f"plan_{source.name}", out=dg.DynamicOut(dict), tags={TAG: source.name})(plan)


def _load_op(settings: Settings, source: Source) -> dg.OpDefinition:
    def load(one: dict[str, Any]) -> str:
        made = Unit.from_json(one)
        result = unit.run(settings, made)
        _log(f"{made}: {_in_words(result)}")
        return made.key

    made: dg.OpDefinition = dg.op(
        name=f"load_{source.name}",
        ins={"one": dg.In(dict)},
        out=dg.Out(str),
        tags={TAG: source.name},
        retry_policy=retries(settings),
    )(load)
    return made


def _mark_op(settings: Settings, source: Source) -> dg.OpDefinition:
    def mark(done: list[str]) -> None:
        state = bookmarks.set_file(settings, source.name)
        for (stream, _), bookmark in bookmarks.marks(state).items():
            _log(f"{source.name}, {stream}: {len(done)} units, bookmark {instants.to_iso(bookmark.at)}")

    name = f"bookmark_{source.name}"
    made: dg.OpDefinition = dg.op(name=name, ins={"done": dg.In(list)}, out=dg.Out(dg.Nothing))(mark)
    return made


# -- day by day --------------------------------------------------------------------------------------------------------


def daily(settings: Settings, source: Source, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset of a source, by day.

    A day after the bookmark is loaded by a plain run up to its end, from the bookmark less the lookback: so a day that
    was left out is made up for by the next one. A day before the bookmark is read again, and the bookmark stays.
    """

    def load() -> dg.MaterializeResult:
        day = dg.AssetExecutionContext.get().partition_time_window
        since, until = (edge.astimezone(timezone.utc) for edge in (day.start, day.end))
        if source.dated and _behind(settings, source, until):
            result = unit.run(settings, Unit(source.name, since, until), again=True)
        else:
            result = unit.plain(settings, source.name, until=until if source.dated else None)
        _log(f"{source.name}: {_in_words(result)}")
        return dg.MaterializeResult(metadata={"rows": result.rows or 0, "seconds": result.seconds})

    made: dg.AssetsDefinition = dg.asset(
        name=f"{source.name}_daily",
        group_name="trunkline",
        description=f"{source.tap.name}, loaded day by day.",
        partitions_def=days,
        retry_policy=retries(settings),
        op_tags={TAG: source.name},
        pool=f"trunkline_{source.name}",  # over all runs; its size stands in dagster.yaml
    )(load)
    return made


def _behind(settings: Settings, source: Source, until: datetime) -> bool:
    """Return whether all bookmarks of a source are past a moment."""
    found = bookmarks.marks(unit.read(settings.folder / source.name / "state.json") or {})
    return bool(found) and all(mark.at >= until for mark in found.values())


def _first_day(settings: Settings) -> str:
    known = [source.since for source in settings.sources.values() if source.since]
    return min(known, default=instants.EPOCH).strftime("%Y-%m-%d")


def _log(text: str) -> None:
    dg.get_dagster_logger("trunkline").info("%s", text)


def _in_words(result: Result) -> str:
    rows = "rows unknown" if result.rows is None else f"{result.rows} rows"
    return f"{rows}, {result.seconds:.1f} s" if result.ran else f"done before, {rows}"
