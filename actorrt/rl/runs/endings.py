"""Pure: says in a line how a run ended, from which step it can be resumed, and how."""

from __future__ import annotations

from actorrt.rl.runs.plan import AnyPlan


def describe_pause(plan: AnyPlan, directory: str, steps: int, saved_steps: int | None) -> str:
    """Describe a run that has ended.

    Args:
        plan: of the run.
        directory: directory of the run's files.
        steps: steps of the run.
        saved_steps: steps of the last checkpoint; None if there is none.
    """
    if saved_steps is None:
        return f"ended after {steps:,} steps, before the first checkpoint"
    pause = f"paused after {saved_steps:,} steps; {plan.resumption(directory, saved_steps)} resumes it"
    command = plan.resuming_command(directory, saved_steps)
    return pause if command is None else f"{pause}, and so does {command}"


def describe_failure(plan: AnyPlan, directory: str, steps: int, saved_steps: int | None) -> str:
    """Describe what is left of a run that has failed; the arguments are those of `describe_pause`."""
    failed = f"the run failed after {steps:,} steps"
    if saved_steps is None:
        return f"{failed}; it had no checkpoint yet"
    resumption = plan.resumption(directory, saved_steps)
    return f"{failed}; {resumption} resumes from its checkpoint of {saved_steps:,} steps"
