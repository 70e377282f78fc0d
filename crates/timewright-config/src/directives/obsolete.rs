//! Names that are accepted for old files only (`config.md` section 8).

use super::{Apply, Arity, Directive, Section, Status};
use crate::error::Warning;

const fn row(
    name: &'static str,
    arguments: &'static str,
    arity: Arity,
    help: &'static str,
    declared: Status,
    apply: Apply,
) -> Directive {
    Directive {
        name,
        arguments,
        arity,
        default: "",
        help,
        section: Section::Obsolete,
        declared,
        apply,
    }
}

const fn unsupported(name: &'static str) -> Directive {
    let help = "No longer supported.";
    row(
        name,
        "[WORD]...",
        Arity::Free,
        help,
        Status::NoLongerSupported,
        |p, a| {
            p.warn(Warning::NoLongerSupported(a.name.clone().into_owned()));
            Ok(())
        },
    )
}

pub(super) static ROWS: &[Directive] = &[
    unsupported("commandkey"),
    row(
        "dumponexit",
        "[WORD]...",
        Arity::Free,
        "Ignored.",
        Status::Ignored,
        |_, _| Ok(()),
    ),
    unsupported("generatecommandkey"),
    unsupported("linux_freq_scale"),
    unsupported("linux_hz"),
    row(
        "ntscachedir",
        "DIRECTORY",
        Arity::Exactly(1),
        "Old name of ntsdumpdir.",
        Status::Alias("ntsdumpdir"),
        |p, a| {
            p.config.nts.dump_dir = Some(a.path());
            Ok(())
        },
    ),
];
