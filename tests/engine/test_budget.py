"""The budget of bytes that all mail in flight shares."""

from __future__ import annotations

import asyncio

import pytest

from filterd.engine.budget import Budget, OverBudget


def test_what_does_not_fit_waits_its_turn() -> None:
    async def main() -> list[str]:
        budget, order = Budget(100), []

        async def take(name: str, size: int) -> None:
            async with budget.hold(size, 5):
                order.append(name)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as tasks:
            for name, size in (("a", 80), ("b", 80), ("c", 10), ("d", 30)):
                tasks.create_task(take(name, size))
        assert (budget.taken, budget.waiting) == (0, 0)
        return order

    assert asyncio.run(main()) == ["a", "b", "c", "d"], "first come, first served: a small one does not overtake"


def test_larger_than_the_whole_budget_passes_alone() -> None:
    async def main() -> int:
        budget = Budget(10)
        async with budget.hold(1000, 1):
            return budget.taken

    assert asyncio.run(main()) == 1000


def test_no_room_in_time_is_said_and_leaves_nothing_behind() -> None:
    async def main() -> Budget:
        budget = Budget(10)
        async with budget.hold(10, 1):
            with pytest.raises(OverBudget):
                async with budget.hold(5, 0.01):
                    pytest.fail("there was no room")
            waiting = asyncio.create_task(_hold(budget))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        return budget

    budget = asyncio.run(main())
    assert (budget.taken, budget.waiting) == (0, 0)


async def _hold(budget: Budget) -> None:
    async with budget.hold(5, 10):
        pytest.fail("there was no room")
