"""The jobs that a node knows."""

from __future__ import annotations

import pytest

from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.ids import PeerAddress
from actorrt.node.placement.job_table import JobTable
from tests.unit.node.fakes import IDS, SETTING

DRIVER = PeerAddress(IDS.peer(), "memory://driver")


def test_driver_has_one_job_and_a_job_one_driver() -> None:
    jobs = JobTable()
    job = jobs.begin(IDS.job(), DRIVER, SETTING)
    assert (job.driver, job.setting, job.has_ended) == (DRIVER, SETTING, False)
    for job_id, driver in ((job.job_id, IDS.peer()), (IDS.job(), DRIVER.peer)):
        with pytest.raises(RuntimeStateError, match=r"or another one of this driver, has begun already"):
            jobs.check_is_new(job_id, driver)
    jobs.check_is_new(IDS.job(), IDS.peer())
    assert (jobs.all(), jobs.of_driver(DRIVER.peer), jobs.of_driver(IDS.peer())) == ([job], [job], [])


def test_job_is_found_until_it_is_forgotten() -> None:
    jobs = JobTable()
    job = jobs.begin(IDS.job(), DRIVER, SETTING)
    assert (jobs.find(job.job_id), jobs.job(job.job_id)) == (job, job)
    assert [jobs.forget(job.job_id), jobs.forget(job.job_id)] == [True, False]
    assert jobs.find(job.job_id) is None
    with pytest.raises(ActorStartError, match="has ended: nothing can be started in it"):
        jobs.job(job.job_id)


def test_job_of_which_detached_actors_are_left_is_known_and_not_live() -> None:
    jobs = JobTable()
    job = jobs.begin(IDS.job(), DRIVER, SETTING)
    job.is_left_behind = True
    assert (jobs.all(), jobs.live(), jobs.job(job.job_id)) == ([job], [], job)
