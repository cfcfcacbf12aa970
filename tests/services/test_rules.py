"""Mapping rules: what a class of imported ground truth becomes, and which rules are refused."""

from __future__ import annotations

import pytest

from app.errors import Refused
from app.models import AttributeDef, ClassDef, ClassTemplate, MappingRule, new_id
from app.services import class_templates
from app.services.rules import Resolver, check_rules, remembered, resolve


def template(*rules: tuple[str, str, int | None]) -> ClassTemplate:
    classes = [
        ClassDef(id=1, name="road", colour="#804080", value=0),
        ClassDef(id=2, name="car", colour="#400080"),
        ClassDef(id=3, name="vehicle", colour="#000046"),
        ClassDef(id=4, name="traffic_sign", colour="#dcdc00", value=20),
    ]
    made = [MappingRule(kind=kind, key=key, class_id=target) for kind, key, target in rules]  # pyright: ignore[reportArgumentType]
    return ClassTemplate(id=new_id(), name="Street", classes=classes, rules=made)


def test_rules_come_before_names_names_before_colours_and_values_only_decide_where_allowed() -> None:
    rules = template(("name", "sedan", 2), ("value", "7", 1), ("colour", "#ff0000", 4), ("name", "ego", None))
    assert resolve(rules, "SEDAN", 7, "#ff0000") == (2, "rule")
    assert resolve(rules, "x", 7, "#ff0000") == (4, "rule")
    assert resolve(rules, "7", 7, "#000000") == (1, "rule")
    assert resolve(rules, "car", 7, "#000000") == (2, "name"), "a source with names numbers them as it likes"
    assert resolve(rules, "Ego", None, None) == (0, "rule")
    assert resolve(rules, "Traffic-Sign", None, "#804080") == (4, "name")
    assert resolve(rules, "", None, "#804080") == (1, "colour")
    assert resolve(rules, "", 20, None) == (None, "")
    assert resolve(rules, "", 20, None, by_value=True) == (4, "value")
    assert resolve(rules, "", 0, None, by_value=True) == (1, "value")


def test_a_rule_whose_class_is_the_key_of_another_leads_on() -> None:
    rules = template(("name", "sedan", 2), ("name", "car", 3), ("colour", "#123456", 2))
    check_rules(rules)
    ask = Resolver(rules)
    assert [ask("sedan")[0], ask("car")[0], ask("", None, "#123456")[0]] == [3, 3, 3]
    assert ask.chain(rules.rules[0]) == [2, 3]


@pytest.mark.parametrize(
    ("rules", "says", "at"),
    [
        ([("name", "car", 3), ("name", "vehicle", 2)], "circle: vehicle → car → vehicle", 0),
        ([("value", "1", 2), ("name", "car", 3), ("name", "vehicle", 1), ("name", "road", 2)], "circle: car →", 0),
        ([("name", "x", 1), ("name", "Traffic sign", 4)], "to itself", 1),
        ([("name", "van", 2), ("name", "VAN", 3)], "Two rules are for the name VAN", 1),
        ([("value", "7", 9)], "the class 9, which does not exist", 0),
        ([("value", "07", 1)], "not a whole number", 0),
        ([("colour", "#FFF", 1)], "six digits", 0),
        ([("colour", "red;}body{display:none", 1)], "six digits", 0),
        ([("name", "a\u202eb", 1)], "do not print", 0),
        ([("name", "--", 1)], "do not print", 0),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_stand_is_refused_and_named(
    rules: list[tuple[str, str, int | None]], says: str, at: int
) -> None:
    with pytest.raises(Refused, match=says) as caught:
        class_templates.check(template(*rules))
    assert caught.value.extra == {"rule": at}


def test_what_an_import_mapped_is_remembered_where_it_says_something_new() -> None:
    rules = template(("name", "sedan", 2), ("name", "bus", 3))
    wanted = [("name", "van", 2), ("name", "Road", 1), ("name", "bus", 2), ("value", "255", None)]
    kept, lost = remembered(rules, template(*wanted).rules)
    assert [(r.key, r.class_id) for r in kept] == [("sedan", 2), ("van", 2), ("bus", 2), ("255", None)]
    assert lost == []


def test_what_would_contradict_other_rules_is_not_remembered() -> None:
    rules = template(("name", "sedan", 2))
    swapped = template(("name", "car", 3), ("name", "vehicle", 2)).rules
    kept, lost = remembered(rules, swapped)
    assert [r.key for r in kept] == ["sedan", "vehicle"]
    assert [r.key for r in lost] == ["car"]


def test_a_class_mapped_to_itself_again_loses_its_old_rule() -> None:
    kept, lost = remembered(template(("name", "car", 3)), template(("name", "car", 2)).rules)
    assert (kept, lost) == ([], [])


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ([AttributeDef(name="a"), AttributeDef(name="a")], "two attributes named 'a'"),
        ([AttributeDef(name="a", kind="choice")], "no choices"),
        ([AttributeDef(name="a", choices=["x"])], "only an attribute of the kind choice"),
        ([AttributeDef(name="a", kind="choice", choices=["x", "x"])], "the choice 'x' twice"),
        ([AttributeDef(name="a", kind="choice", choices=["x"], default="y")], "no choice 'y'"),
        ([AttributeDef(name="a", kind="number", default="nan")], "is a number"),
        ([AttributeDef(name="a", kind="check", default="maybe")], "yes or no"),
        ([AttributeDef(name=" a")], "needless spaces"),
    ],
)
def test_attributes_that_make_no_sense_are_refused(attributes: list[AttributeDef], says: str) -> None:
    wrong = template()
    wrong.classes[0].attributes = attributes
    with pytest.raises(Refused, match=says):
        class_templates.check(wrong)
