"""The figures of replication. Durations are seconds of the event loop; tests scale them down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults suit two regions on one machine, with link faults of up to some seconds of delay."""

    page_rows: int = 256  # tasks of one message
    page_bytes: int = 1 << 20
    window: int = 4_096  # tasks that may be on their way without acknowledgement
    window_bytes: int = 16 << 20
    pacing: float = (
        0.016  # under load, messages are at least so far apart; the first after a silence goes at once
    )
    ack_timeout: float = 0.5  # without progress for so long, what is unacknowledged is sent again; doubles
    ack_timeout_most: float = 2.0  # a lost last message of a burst has no successor that shows the gap
    reconnect_first: float = 0.05  # doubles
    reconnect_most: float = 2.0
    save_positions: float = 0.5  # acknowledged positions are stored, and the log trimmed, at most so often
    fill_window: int = 10  # tasks that a region which is being filled may be behind
    high_water: int = 8_192  # tasks waiting at the receiver before it pauses the sender
    low_water: int = 2_048
    retry_first: float = 0.02  # of a task that cannot be applied; doubles
    retry_most: float = 5.0
    attempts: int = 8  # then it is a dead letter
    patience: float = 300.0  # a task that fails because a peer cannot be reached is tried for so long
    call_timeout: float = 10.0  # of the calls between regions
    resend_events: int = 1_024  # events of one answer of GetHistoryRange
