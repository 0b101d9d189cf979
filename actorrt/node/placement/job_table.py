"""Pure: the jobs that a node knows.

These are the jobs with a connected driver, those that have detached actors left, and guests: jobs of the drivers of
other nodes that have workers or actors here.
"""

from __future__ import annotations

from actorrt.errors import ActorStartError, RuntimeStateError
from actorrt.ids import JobId, PeerAddress, PeerId, short
from actorrt.node.placement.jobs import Job
from actorrt.protocol.nodes import JobSetting


class JobTable:
    """The jobs by their ids."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, Job] = {}

    def check_is_new(self, job_id: JobId, driver: PeerId) -> None:
        """Refuse a job that is known, and a second job of one driver.

        Raises:
            RuntimeStateError: the job is known, or the driver has a job.
        """
        if job_id in self._jobs or self.of_driver(driver):
            raise RuntimeStateError(f"job {short(job_id)}, or another one of this driver, has begun already")

    def begin(self, job_id: JobId, driver: PeerAddress, setting: JobSetting, home: PeerAddress | None = None) -> Job:
        """Add a new job; with a `home`, a guest job."""
        job = self._jobs[job_id] = Job(job_id, driver, setting, home)
        return job

    def find(self, job_id: JobId) -> Job | None:
        """Return a job, or None if the node does not know it."""
        return self._jobs.get(job_id)

    def job(self, job_id: JobId) -> Job:
        """Return a job.

        Raises:
            ActorStartError: the job has ended.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise ActorStartError(f"job {short(job_id)} has ended: nothing can be started in it")
        return job

    def of_driver(self, peer: PeerId) -> list[Job]:
        """Return the jobs of a driver of this node: one, or none."""
        return [job for job in self._jobs.values() if job.driver.peer == peer and job.home is None]

    def drivers(self) -> list[PeerAddress]:
        """Return the drivers of this node whose jobs live."""
        return [job.driver for job in self.live() if job.home is None]

    def all(self) -> list[Job]:
        """Return every job."""
        return list(self._jobs.values())

    def live(self) -> list[Job]:
        """Return the jobs that have more than detached actors left."""
        return [job for job in self._jobs.values() if not job.is_left_behind]

    def forget(self, job_id: JobId) -> bool:
        """Remove a job; return whether it was known. Idempotent."""
        return self._jobs.pop(job_id, None) is not None
