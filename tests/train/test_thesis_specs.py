"""The specs of table 7.3 declare the recipes of thesis table B.1."""

from pathlib import Path

import pytest

from auditor.methods.training import Adam, GloRo, Recipe, Schedule
from auditor.terms import Affinity, Standard, TopK
from auditor.train.declared import declared_recipe
from auditor.train.identity import read_spec

SPECS = Path(__file__).parents[2] / "benchmarks" / "thesis"
HIGHWAY, RIVER, ANNUAL, PERMANENT = 3, 8, 0, 6
RIVERS = {frozenset((label, HIGHWAY, RIVER)) for label in range(10)}


def declared(name: str) -> GloRo:
    recipe = declared_recipe(read_spec(SPECS / f"{name}.yaml"))
    adam = Adam(Schedule(1e-3, 1e-6, "exponential", after=0.5))
    assert recipe == Recipe(200, 256, recipe.objective, adam, initialization="orthogonal")
    assert isinstance(recipe.objective, GloRo)
    assert recipe.objective.epsilon.at(0.0) == recipe.objective.epsilon.at(1.0) == 0.141
    return recipe.objective


def test_standard_and_rt3_weigh_trades():
    standard, relaxed = declared("standard"), declared("rt3")
    assert standard.guarantee == Standard()
    assert standard.trades == Schedule(0.01, 1.2, "log", until=0.5)
    assert relaxed.guarantee == TopK(3)
    assert relaxed.trades == Schedule(1.0, 1.2)


@pytest.mark.parametrize(
    ("name", "sets"),
    [
        ("highway_river", RIVERS),
        ("highway_river_agriculture", RIVERS | {frozenset((ANNUAL, PERMANENT))}),
    ],
)
def test_affinity_sets_are_those_of_the_thesis(name, sets):
    objective = declared(name)
    assert objective.trades is None
    assert isinstance(objective.guarantee, Affinity)
    assert set(map(frozenset, objective.guarantee.sets)) == sets


def test_acas_xu_accepts_one_degree_more_or_less():
    recipe = declared_recipe(read_spec(SPECS / "acasxu.yaml"))
    adam = Adam(Schedule(1e-3, 5e-6, "exponential", after=0.5))
    assert recipe == Recipe(100, 128, recipe.objective, adam, initialization="orthogonal")
    assert isinstance(recipe.objective, GloRo)
    assert recipe.objective.epsilon.at(0.0) == 0.01
    assert isinstance(recipe.objective.guarantee, Affinity)
    assert set(map(frozenset, recipe.objective.guarantee.sets)) == set(map(frozenset, ((3, 1), (1, 0), (0, 2), (2, 4))))
