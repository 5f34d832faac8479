"""Rows of the action table that look inside the network."""

from app.actions.kinds import Act, ActionSpec, Context, Menu

INSPECT_ROWS = (
    ActionSpec(
        Act.INSPECT,
        "Look inside",
        ("Ctrl+Shift+I",),
        "Show why the network says what it says.",
        "inspect",
        Context.IMAGE,
        Menu.INSPECT,
        checkable=True,
    ),
    ActionSpec(
        Act.TOOL_PROBE,
        "Pin pixels",
        ("Shift+I",),
        "Click a pixel to keep its explanation; nothing is painted.",
        "probe",
        Context.IMAGE,
        Menu.INSPECT,
        1,
        checkable=True,
    ),
    ActionSpec(
        Act.PIN_PIXEL,
        "Pin pixel under cursor",
        ("Y",),
        "Keep the explanation of this pixel; again lets it go.",
        "pin",
        Context.IMAGE,
        Menu.INSPECT,
        1,
    ),
    ActionSpec(
        Act.TAKE_OVERLAY_AWAY,
        "Take overlay off the image",
        ("Shift+Y",),
        "Show the image again without what INSPECT laid over it.",
        "eye-off",
        Context.IMAGE,
        Menu.INSPECT,
        1,
    ),
    *(
        ActionSpec(act, text, keys, help_text, "", Context.IMAGE, Menu.INSPECT, 2)
        for act, text, keys, help_text in (
            (Act.INSPECT_PIXEL, "Pixel card", (), "Why a pixel got its label."),
            (Act.INSPECT_STAGES, "Stages", (), "First guess, gates and final prediction."),
            (Act.INSPECT_RELATIONS, "Class relations", (), "Which class needs which, and what if one went."),
            (Act.INSPECT_MEMORY, "Class memory", (), "Classes and strokes on a map."),
            (Act.INSPECT_DOUBT, "Doubt", ("U",), "Where the network is unsure, and what accepting costs."),
            (Act.INSPECT_STRUCTURE, "Structure", (), "Broken thin objects, ragged borders, shifted masks."),
            (
                Act.INSPECT_ERRORS,
                "Suspicious labels",
                (),
                "Labels that may be slips: keep, fix, delete.",
            ),
            (Act.INSPECT_EFFECT, "Effect of the last stroke", (), "What would flip if it were learnt."),
        )
    ),
    ActionSpec(
        Act.EXPORT_INSPECTION,
        "Export this view…",
        (),
        "Write picture and numbers of the open tab: PNG, CSV and JSON.",
        "export",
        Context.IMAGE,
        Menu.INSPECT,
        3,
    ),
)
