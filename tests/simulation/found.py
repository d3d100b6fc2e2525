"""Schedules that once broke an invariant, shrunken: each is a test of its name, and its faults end at `HEALED`."""

from __future__ import annotations

from typing import Final

from tests.simulation.schedule import Step

HEALED: Final = Step(40.0, "heal")

FOUND: Final[dict[str, tuple[int, list[Step]]]] = {
    # The old region waits in HANDOVER; the record that ends it stands in the log behind a batch whose events the
    # region would have to reapply, which HANDOVER forbids.
    "handover_behind_a_losing_branch": (
        80,
        [
            Step(4.94, "failover", "B", detail="forced"),
            Step(8.905, "fault", "B", detail="cut", target="A"),
            Step(8.964, "start", "B", "w0", detail="atsst"),
            Step(9.24, "signal", "B", "w0"),
            Step(10.423, "failover", "A", detail="graceful"),
            Step(30.002, "start", "A", "w0", detail="kaxn"),
            Step(33.769, "failover", "B", detail="graceful"),
        ],
    ),
    # A worker answers, in the new active region, a task of a run that has become a zombie there.
    "a_worker_of_a_zombie": (
        185,
        [
            Step(2.532, "start", "B", "w6", detail="cs"),
            Step(9.393, "start", "A", "w2", detail="catac"),
            Step(10.573, "start", "B", "w7", detail="xca"),
            Step(13.077, "fault", "A", detail="partition", target="B"),
            Step(14.388, "failover", "B", detail="forced"),
            Step(15.783, "start", "A", "w1", detail="ant"),
            Step(23.792, "start", "A", "w3"),
            Step(26.041, "reset", "A", "w7"),
            Step(27.082, "start", "A", "w3", detail="taatc"),
            Step(27.773, "signal", "A", "w6"),
            Step(27.915, "signal", "A", "w3"),
            Step(36.245, "start", "A", "w2", detail="axca"),
        ],
    ),
    # A child ends in B, where its parent is a zombie because of a run that C started; in A, to which C cannot
    # speak, the parent is the current run, and goes on when A becomes active. That it was told had replicated.
    "a_parent_that_is_a_zombie_elsewhere": (
        10090,
        [
            Step(0.696, "fault", "A", detail="partition", target="C"),
            Step(4.958, "start", "B", "w1", detail="csct"),
            Step(13.493, "signal", "A", "w1"),
            Step(13.966, "signal", "B", "w1"),
            Step(16.044, "failover", "C", detail="forced"),
            Step(16.167, "signal", "A", "w1"),
            Step(26.105, "start", "C", "w1"),
            Step(30.433, "failover", "B", detail="forced"),
            Step(33.655, "failover", "A", detail="graceful"),
        ],
    ),
    # B has deleted the run that A, who did not hear of it, has reset: the run that the reset made goes on from nothing
    # that either of them still has, and ended in the dead letters.
    "a_reset_of_a_run_that_was_deleted": (
        60048,
        [
            Step(2.952, "start", "B", "v0", detail="an"),
            Step(11.339, "fault", "B", detail="partition", target="A"),
            Step(16.952, "failover", "B", "v1", detail="graceful"),
            Step(29.076, "reset", "A", "v0"),
            Step(36.1, "delete", "B", "v0"),
        ],
    ),
    # A deletes a run that B, who did not hear of it, goes on with: A gets it again by what B wrote, as a zombie, and
    # B deletes it as it was told, so that nobody was left to close it.
    "a_deleted_run_that_the_other_side_went_on_with": (
        100516,
        [
            Step(2.936, "failover", "B", "w0", detail="graceful"),
            Step(5.925, "crash", "B"),
            Step(6.844, "start", "B", "w1", detail="aa", target="policy:2:3"),
            Step(15.272, "start", "A", "w0", detail="a"),
            Step(17.3, "start", "B", "w1", detail="sstss"),
            Step(17.687, "fault", "B", detail="partition", target="A"),
            Step(19.3, "failover", "A", "w1", detail="forced"),
            Step(21.069, "delete", "A", "w1"),
            Step(21.744, "signal", "B", "w1"),
            Step(22.173, "start", "A", "w1", detail="ttaxs"),
            Step(24.441, "reset", "A", "w1"),
        ],
    ),
    # The same from the other side: the run comes back to B, which deleted it, and goes on there on another branch;
    # what B had said before of an activity is about events that nobody has any more.
    "state_of_a_branch_that_is_gone": (
        400038,
        [
            Step(3.68, "start", "B", "w0", detail="Ca", target="signal"),
            Step(5.387, "fault", "A", detail="partition", target="B"),
            Step(6.37, "failover", "B", "w1", detail="forced"),
            Step(10.801, "delete", "B", "w0"),
        ],
    ),
    # The run that a reset made is deleted, the one that it was made of is still there: what a losing branch of that
    # has for the current run has nowhere to go, and ended in the dead letters.
    "reapplied_where_the_current_run_is_deleted": (
        700097,
        [
            Step(4.791, "start", "A", "w0", detail="tus"),
            Step(5.693, "failover", "B", "w1", detail="graceful"),
            Step(9.934, "fault", "B", detail="partition", target="A"),
            Step(10.895, "failover", "A", "w2", detail="forced"),
            Step(13.667, "signal", "B", "w0"),
            Step(14.238, "reset", "A", "w0"),
            Step(14.639, "delete", "A", "w0"),
        ],
    ),
    # B deletes a run whose child ends there, and gets it back by what A wrote of it: it waits for that child, which
    # has found nobody to tell. So it does in the real server: the run must be ended by hand.
    "a_deleted_parent_that_comes_back": (
        219858,
        [
            Step(1.186, "disk", "A", detail="after", amount=5.0),
            Step(1.365, "start", "B", "w0", detail="atCrs", target="delay"),
            Step(4.978, "fault", "B", detail="duplicate", target="A", amount=0.31),
            Step(10.397, "start", "B", "w1", detail="csnt", target="signal"),
            Step(11.659, "fault", "A", detail="partition", target="B"),
            Step(15.984, "failover", "B", "w0", detail="forced"),
            Step(16.01, "delete", "B", "w1"),
            Step(19.592, "signal", "A", "w1", amount=3.0),
        ],
    ),
    # C deletes a run that it wrote, and gets it back batch by batch from the region that goes on with it. Between two
    # batches it touched the run: it failed a started task of its own version, and wrote a second event of that id.
    "a_run_that_comes_back_in_pieces": (
        500353,
        [
            Step(13.385, "failover", "B", "w1", detail="forced"),
            Step(17.639, "start", "C", "w1", detail="sat", target="cron"),
            Step(21.226, "fault", "B", detail="partition", target="A"),
            Step(21.24, "delete", "C", "w1"),
            Step(22.267, "failover", "A", "w0", detail="forced"),
            Step(34.722, "heal"),
        ],
    ),
    # A run is closed by its time-out in the very batch that schedules its first workflow task: that is where it must be
    # reset for what a losing branch was told.
    "a_run_that_is_closed_as_its_first_task_comes": (
        900009,
        [
            Step(1.926, "start", "A", "w0", detail="kshac", target="cron"),
            Step(3.009, "signal", "A", "w0"),
            Step(6.93, "crash", "B", amount=1.0),
            Step(7.525, "fault", "B", detail="drop", target="A", amount=0.11),
            Step(8.394, "fault", "B", detail="duplicate", target="C", amount=0.7),
            Step(10.823, "failover", "B", "w1", detail="forced"),
            Step(13.229, "start", "C", "w1", detail="t", target="cron"),
            Step(16.864, "start", "C", "w1", detail="tzo", target="policy:3:1"),
            Step(17.459, "fault", "A", detail="delay", target="C", amount=1.9),
            Step(18.924, "start", "C", "w0", detail="ahshn", target="policy:1:3"),
            Step(19.363, "start", "B", "w1", detail="h", target="cron"),
            Step(20.188, "fault", "B", detail="drop", target="A", amount=0.58),
            Step(20.857, "signal", "C", "w1"),
            Step(21.605, "fault", "A", detail="partition", target="B"),
            Step(23.966, "crash", "B", amount=6.86),
            Step(25.675, "failover", "A", "w0", detail="forced"),
        ],
    ),
    # A has reset a run that B and C have deleted, of which A did not hear: C asked for the run up to the point of the
    # reset, and kept it, open, with nobody left to close it.
    "a_reset_of_a_run_that_was_deleted_here": (
        500353,
        [
            Step(11.385, "start", "A", "w1", detail="sstss"),
            Step(12.483, "signal", "A", "w1"),
            Step(13.385, "failover", "B", "w1", detail="forced"),
            Step(13.394, "signal", "B", "w1"),
            Step(15.564, "signal", "B", "w1"),
            Step(18.293, "signal", "A", "w1"),
            Step(21.226, "fault", "B", detail="partition", target="A"),
            Step(21.24, "delete", "C", "w1"),
            Step(22.267, "failover", "A", "w0", detail="forced"),
            Step(24.088, "reset", "A", "w1"),
        ],
    ),
    # C, who does not hear A and is next to be active, says of a run of A's that its errands are done; B, who does not
    # hear A either, has not got the run, and forgot it.
    "state_before_its_run": (
        200048,
        [
            Step(20.944, "start", "A", "w1", detail="rfaxa", target="cron"),
            Step(21.336, "fault", "A", detail="partition", target="B"),
            Step(21.938, "failover", "B", "w0", detail="forced"),
            Step(27.757, "failover", "C", "w1", detail="forced"),
        ],
    ),
    "state_before_its_run_by_a_handover": (
        200320,
        [
            Step(2.277, "start", "C", "w0", detail="hrCc", target="delay"),
            Step(9.922, "fault", "A", detail="partition", target="C"),
            Step(11.892, "failover", "C", "w3", detail="forced"),
            Step(17.999, "failover", "B", "w3", detail="graceful"),
        ],
    ),
    # C has reset the parent of a child; in B, which hears of that, the child ends, and nobody is there to be told. A,
    # which does not, is next to be active, goes on with the parent, and took B's word for it that it was told.
    "a_parent_that_has_ended_elsewhere": (
        1,
        [
            Step(5.0, "start", "A", "w1", detail="cs"),
            Step(5.3, "fault", "A", detail="partition", target="C"),
            Step(5.6, "failover", "C", "w1", detail="forced"),
            Step(5.8, "reset", "C", "w1"),
            Step(6.0, "failover", "B", "w1", detail="forced"),
            Step(20.0, "failover", "A", "w1", detail="graceful"),
            Step(21.0, "signal", "A", "w1"),
        ],
    ),
    # C's branch has a signal that A's has not. A, passive by then, goes with its own one and hands the signal on to B,
    # who has gone on with C's: there it is twice, as in the real server.
    "a_signal_handed_on_to_the_branch_that_has_it": (
        3100005,
        [
            Step(2.732, "failover", "C", "w4", detail="forced"),
            Step(4.6, "start", "A", "w0", detail="rttkt", target="signal"),
            Step(11.405, "fault", "A", detail="partition", target="C"),
            Step(12.008, "signal", "B", "w0"),
            Step(12.313, "failover", "A", "w3", detail="graceful"),
            Step(13.355, "fault", "A", detail="partition", target="B"),
            Step(15.047, "failover", "A", "w5", detail="forced"),
            Step(15.296, "crash", "A", amount=1.0),
            Step(15.405, "delete", "B", "d0"),
            Step(15.812, "heal"),
            Step(16.162, "failover", "B", "w2", detail="graceful"),
        ],
    ),
}
