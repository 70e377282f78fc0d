//! Configuration: every directive with every option, grouped as in the manual; every kind of
//! error; includes; what chronyc reads with the same parsers.

use super::{Seed, file_name};
use timewright_config::directives;

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, text: &str| {
        add(Seed {
            target: "config",
            name: file_name(name),
            bytes: text.into(),
        });
    };
    for (name, text) in TEXTS {
        add(name, text);
    }
    // What an error hides from the rest of a file is seen when a directive stands alone.
    for row in directives::all() {
        let lines = TEXTS.iter().flat_map(|(_, text)| text.lines());
        let best = lines
            .filter(|line| line.split(' ').next() == Some(row.name))
            .max_by_key(|line| line.len());
        add(&format!("directive {}", row.name), best.unwrap_or(row.name));
    }
    add(
        "long line",
        &format!("port 123\nuser {}\n", "x".repeat(2100)),
    );
    add(
        "almost long line",
        &format!("port 123\nuser {}\n", "x".repeat(2041)),
    );
}

/// Names with what they hold.
const TEXTS: &[(&str, &str)] = &[
    ("typical", include_str!("config/typical.conf")),
    ("sources", include_str!("config/sources.conf")),
    ("refclocks", include_str!("config/refclocks.conf")),
    ("selection", include_str!("config/selection.conf")),
    ("clock", include_str!("config/clock.conf")),
    ("server", include_str!("config/server.conf")),
    ("command", include_str!("config/command.conf")),
    ("rtc", include_str!("config/rtc.conf")),
    ("logging", include_str!("config/logging.conf")),
    ("miscellaneous", include_str!("config/miscellaneous.conf")),
    ("obsolete", include_str!("config/obsolete.conf")),
    ("numbers", include_str!("config/numbers.conf")),
    ("patterns", include_str!("config/patterns.conf")),
    ("errors", include_str!("config/errors.conf")),
    ("include loop", "include /etc/loop.conf\n"),
    ("include bad", "include /etc/bad.conf\n"),
    ("include missing", "include /etc/none.conf\n"),
    ("include unreadable", "include /etc/chrony.conf/*.conf\n"),
    (
        "startup certs",
        "ntsservercert /a\nntsservercert /b\nntsserverkey /c\n",
    ),
    ("startup rtc", "rtcfile /var/lib/rtc\nrtcsync\n"),
    (
        "startup rtc refclock",
        "refclock RTC /dev/rtc0:utc\nrtcsync\n",
    ),
    ("startup tai", "refclock PHC /dev/ptp0 tai\n"),
    ("startup driver", "refclock GPS /dev/gps0\n"),
    ("startup driver option", "refclock PPS /dev/pps0:fast\n"),
    ("startup subnet", "allow 192.0.2.0/33\n"),
    ("startup command subnet", "cmdallow 2001:db8::/129\n"),
    ("startup priority", "sched_priority 100\n"),
    ("startup rate limit", "noclientlog\nratelimit\n"),
    (
        "fragment",
        "server a.example.org iburst\n# no source\nport 1\npool b.example.org\nserver\npeer c",
    ),
    ("pattern classes", "/etc/chrony.d/[[:lower:]].con[!x]\n"),
    ("pattern escaped", "/etc/chrony.d/more/\\[2\\].inc\n"),
    ("pattern directories", "/et?/chrony.[d]/*/1.inc\n"),
    ("pattern open bracket", "/etc/[x*\n"),
    ("pattern dot", "/etc/chrony.d/.h*\n"),
    ("pattern relative", "*.conf\n"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_config::{hwtimestamp, local, ratelimit, refclock, source};

    fn words() -> Vec<String> {
        let text = TEXTS
            .iter()
            .flat_map(|(_, text)| text.split_ascii_whitespace());
        text.map(str::to_owned).collect()
    }

    #[test]
    fn every_directive_option_and_driver_occurs() {
        let words = words();
        let names = directives::all().map(|row| row.name);
        let names = names
            .chain(source::OPTIONS.iter().map(|row| row.name))
            .chain(refclock::OPTIONS.iter().map(|row| row.name))
            .chain(refclock::DRIVERS.iter().map(|(name, ..)| *name))
            .chain(hwtimestamp::OPTIONS.iter().map(|row| row.name))
            .chain(ratelimit::NTP_OPTIONS.iter().map(|row| row.name))
            .chain(local::OPTIONS.iter().map(|row| row.name));
        for name in names {
            assert!(words.iter().any(|word| word == name), "{name}");
        }
    }

    #[test]
    fn the_grouped_files_are_valid() {
        use timewright_config::{MemoryFiles, ParseOptions, parse_lines};
        let mut files = MemoryFiles::new();
        for (path, content) in crate::config::FILES {
            files.insert(path, content);
        }
        for (name, text) in TEXTS.iter().take_while(|(name, _)| *name != "numbers") {
            let parsed = parse_lines(text.lines(), &files, ParseOptions::default());
            assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn every_line_of_errors_is_one() {
        use timewright_config::{MemoryFiles, ParseOptions, parse_lines};
        let errors = TEXTS.iter().find(|(name, _)| *name == "errors").unwrap().1;
        for line in errors.lines().filter(|line| !line.starts_with('#')) {
            let parsed = parse_lines([line], &MemoryFiles::new(), ParseOptions::default());
            assert!(parsed.is_err(), "{line}");
        }
    }
}
