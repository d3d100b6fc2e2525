"""What of a run is paused, and why, as lists show it: values of the search attribute TemporalPauseInfo.

Real: MutableStateImpl.buildTemporalPauseInfoEntries. There an attribute that nothing is paused for any more stays,
as null; here it goes.
"""

from __future__ import annotations

from mockcloud.core.run import Run


def values(run: Run) -> list[str]:
    """The run itself first, then the types of its paused activities.

    A run that was closed while it was paused keeps its own.
    """
    found = []
    if run.pause is not None:
        found.append(f"Workflow:{run.key.workflow_id}")
        if run.pause.reason:
            found.append(f"Reason:{run.pause.reason}")
    types = set()
    for activity in run.activities.values():
        if activity.record.paused:
            types.add(activity.attributes.activity_type.name)
    return (
        found + [f"property:activityType={activity_type}" for activity_type in sorted(types)]
        if types
        else found
    )
