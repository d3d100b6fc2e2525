from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockcloud.core import cron, times
from mockcloud.core.errors import InvalidArgument


def at(text: str) -> int:
    """Nanoseconds of a moment in UTC, or in its own offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * times.SECOND


# The tables of robfig/cron's own tests (spec_test.go): from this moment, this spec, that moment.
@pytest.mark.parametrize(
    ("after", "spec", "then"),
    [
        ("2012-07-09T14:45:00", "0/15 * * * *", "2012-07-09T15:00:00"),
        ("2012-07-09T14:59:00", "0/15 * * * *", "2012-07-09T15:00:00"),
        ("2012-07-09T14:59:59", "0/15 * * * *", "2012-07-09T15:00:00"),
        ("2012-07-09T15:45:00", "20-35/15 * * * *", "2012-07-09T16:20:00"),
        ("2012-07-09T23:46:00", "*/15 * * * *", "2012-07-10T00:00:00"),
        ("2012-07-09T23:45:00", "20-35/15 * * * *", "2012-07-10T00:20:00"),
        ("2012-07-09T23:35:51", "20-35/15 1/2 * * *", "2012-07-10T01:20:00"),
        ("2012-07-09T23:35:51", "20-35/15 10-12 * * *", "2012-07-10T10:20:00"),
        ("2012-07-09T23:35:51", "20-35/15 1/2 */2 * *", "2012-07-11T01:20:00"),
        ("2012-07-09T23:35:51", "20-35/15 * 9-20 * *", "2012-07-10T00:20:00"),
        ("2012-07-09T23:35:51", "20-35/15 * 9-20 JuL *", "2012-07-10T00:20:00"),
        ("2012-07-09T23:35:00", "0 0 9 Apr-Oct *", "2012-08-09T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 */5 Apr,Aug,Oct Mon", "2012-08-01T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 */5 Oct Mon", "2012-10-01T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 * Feb Mon", "2013-02-04T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 * Feb Mon/2", "2013-02-01T00:00:00"),
        ("2012-12-31T23:59:45", "* * * * *", "2013-01-01T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 29 Feb ?", "2016-02-29T00:00:00"),
        ("2012-07-09T23:35:00", "0 0 13 * fri", "2012-07-13T00:00:00"),
        ("2012-03-11T00:00:00-05:00", "TZ=America/New_York 30 2 11 Mar ?", "2013-03-11T02:30:00-04:00"),
        ("2012-03-11T00:00:00-05:00", "CRON_TZ=America/New_York 0 * * * ?", "2012-03-11T01:00:00-05:00"),
        ("2012-03-11T01:00:00-05:00", "TZ=America/New_York 0 * * * ?", "2012-03-11T03:00:00-04:00"),
        ("2012-03-11T01:00:00-05:00", "TZ=America/New_York 0 2 * * ?", "2012-03-12T02:00:00-04:00"),
        ("2012-11-04T01:00:00-04:00", "TZ=America/New_York 0 * * * ?", "2012-11-04T01:00:00-05:00"),
        ("2012-11-04T01:45:00-04:00", "TZ=America/New_York 0 1 * * ?", "2012-11-04T01:00:00-05:00"),
        ("2018-10-17T05:00:00-04:00", "TZ=America/Sao_Paulo 0 9 10 * ?", "2018-11-10T06:00:00-05:00"),
        ("2018-10-17T05:00:00-04:00", "TZ=America/Sao_Paulo 0 0 4 Nov ?", "2019-11-04T00:00:00-03:00"),
        ("2012-07-09T14:45:00", "@hourly", "2012-07-09T15:00:00"),
        ("2012-07-09T14:45:00", "@midnight", "2012-07-10T00:00:00"),
        ("2012-07-09T14:45:00", "@weekly", "2012-07-15T00:00:00"),
        ("2012-07-09T14:45:00", "@monthly", "2012-08-01T00:00:00"),
        ("2012-07-09T14:45:00", "@annually", "2013-01-01T00:00:00"),
        ("2012-07-09T14:45:00", "@every 1h30m", "2012-07-09T16:15:00"),
        ("2012-07-09T14:45:00", "@every 1.5s", "2012-07-09T14:45:01"),
        ("2012-07-09T14:45:00", "@every 10ms", "2012-07-09T14:45:01"),
        ("2012-07-09T14:45:00", "@every -5m", "2012-07-09T14:45:01"),
    ],
)
def test_the_next_moment(after: str, spec: str, then: str) -> None:
    assert cron.parse(spec).next(at(after)) == at(then)


@pytest.mark.parametrize("spec", ["0 0 30 2 *", "0 0 31 4,6 ?", ", * * * *", "* * * , *"])
def test_some_schedules_have_no_moment(spec: str) -> None:
    assert cron.parse(spec).next(at("2012-07-09T23:35:00")) is None
    with pytest.raises(InvalidArgument) as caught:
        cron.validate(spec, at("2012-07-09T23:35:00"))
    assert caught.value.message == "invalid CronSchedule, no time can be found to satisfy the schedule"


@pytest.mark.parametrize(
    "spec",
    [
        "invalid",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * sunday",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "*/0 * * * *",
        "*/-1 * * * *",
        "1_0 * * * *",
        "99999999999999999999 * * * *",
        "@never",
        "@every",
        "@every never",
        "@every 5",
        "@every 9223372036854775808h",
        "TZ=UTC",
        "TZ=Nowhere/City * * * * *",
        "TZ=../etc * * * * *",
        "TZ=America * * * * *",
    ],
)
def test_malformed_specs_are_refused(spec: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        cron.validate(spec, 0)
    assert caught.value.message == "invalid CronSchedule."
    assert cron.wait(spec, 0, 0) is None


def test_no_schedule_is_valid_and_has_no_wait() -> None:
    cron.validate("", 0)
    assert cron.wait("", 0, 0) is None
    assert cron.first_wait("", 0) == 0


# common/backoff/cron_test.go: spec, last scheduled moment, now, seconds to wait.
@pytest.mark.parametrize(
    ("spec", "scheduled", "now", "seconds"),
    [
        ("0 10 * * *", "2018-12-17T08:00:00", "2018-12-17T08:00:00", 2 * 3600),
        ("0 10 * * *", "2018-12-18T02:00:00", "2018-12-18T02:00:00", 8 * 3600),
        ("*/10 * * * *", "2018-12-17T00:04:00", "2018-12-17T01:02:00", 8 * 60),
        ("@every 5h", "2018-12-17T08:00:00", "2018-12-17T09:00:00", 4 * 3600),
        ("@every 5h", "2018-12-17T08:00:00", "2018-12-18T00:00:00", 4 * 3600),
        ("@every 1s", "2018-12-17T08:00:00", "2018-12-17T08:00:00", 1),
        ("* * * * *", "2018-12-17T09:00:00", "2018-12-17T08:59:30", 30),
    ],
)
def test_the_wait_for_the_next_run(spec: str, scheduled: str, now: str, seconds: int) -> None:
    assert cron.wait(spec, at(scheduled), at(now)) == seconds * times.SECOND


def test_a_wait_is_rounded_up_to_whole_seconds() -> None:
    now = at("2018-12-17T08:00:00") + 300 * times.MILLISECOND
    assert cron.wait("@every 10s", now, now) == 10 * times.SECOND


_fields = st.sampled_from(["*", "?", "*/7", "3", "1-5", "2,4", "1-6/2"])


@given(
    fields=st.tuples(_fields, _fields, _fields, _fields, st.sampled_from(["*", "1", "mon-fri", "?"])),
    after=st.integers(0, 4_000_000_000),
    busy=st.integers(0, 200_000),
)
def test_waiting_leads_to_the_first_moment_that_is_not_past(
    fields: tuple[str, ...], after: int, busy: int
) -> None:
    """Law: going from moment to moment until it is not before now, as the real server does, ends there too."""
    spec = " ".join(fields)
    schedule = cron.parse(spec)
    scheduled, now = after * times.SECOND, (after + busy) * times.SECOND
    moment = schedule.next(scheduled)
    while moment is not None and moment < now:
        moment = schedule.next(moment)
    found = cron.wait(spec, scheduled, now)
    assert moment is not None
    assert found is not None
    assert now + found == moment
    wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment // times.SECOND)
    assert isinstance(schedule, cron.Calendar)
    assert (wall.minute in schedule.minute.values, wall.second) == (True, 0)


@given(
    spec=st.one_of(
        st.text(max_size=20),
        st.text("0123456789*/-,? @TZ=every smhUC", max_size=30),
        st.lists(st.text("0123456789*/-,?", min_size=1, max_size=6), min_size=5, max_size=5).map(" ".join),
    )
)
def test_whatever_is_written_is_a_schedule_or_refused(spec: str) -> None:
    try:
        schedule = cron.parse(spec)
    except cron.MalformedSpec:
        assert not spec or cron.wait(spec, 0, 0) is None
        return
    moment = schedule.next(at("2026-11-27T19:00:00"))
    assert moment is None or moment > at("2026-11-27T19:00:00")


def test_the_longest_wait_is_one_that_can_be_stored() -> None:
    schedule = cron.parse("@every 2562047h")
    now = at("2026-11-27T19:00:00")
    moment = schedule.next(now)
    assert moment is not None
    assert now < moment < 2**63
    assert cron.first_wait("@every 2562047h", now) == 36_500 * times.DAY
