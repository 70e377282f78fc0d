//! Dump files: the samples of a source over a restart (`discipline.md` 6.12). Text only; the
//! driver reads and writes the files.

use super::{Leap, SelectAction, SelectContext, SelectEvent, Selector, SourceKind};
use crate::ids::SourceId;
use crate::stats::StatisticsRecord;
use std::net::IpAddr;
use timewright_time::{Cooked, Timestamp};

const FIRST_LINE: &str = "SRC0";

/// What stands for the name of a reference clock.
const NO_NAME: &str = ".";

const MAX_STRATUM: u8 = 16;

/// Name of the dump file of an NTP source (by its address) or a reference clock (by its
/// reference id).
#[must_use]
pub fn dump_file_name(address: Option<IpAddr>, ref_id: u32) -> String {
    match address {
        Some(address) => format!("{address}.dat"),
        None => format!("refid:{ref_id:08x}.dat"),
    }
}

/// The lines before the samples.
struct Head<'a> {
    name: &'a str,
    authenticated: bool,
    reach: u8,
    reach_size: u8,
    stratum: u8,
    leap: Leap,
}

impl<'a> Head<'a> {
    fn parse(lines: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut words = lines.next()?.split_ascii_whitespace();
        let (Some(name), None) = (words.next(), words.next()) else {
            return None;
        };
        let mut numbers = lines.next()?.split_ascii_whitespace();
        let mut decimal = || numbers.next()?.parse::<i32>().ok();
        let authenticated = decimal()? != 0;
        let reach = u32::from_str_radix(numbers.next()?, 8).ok()?;
        let mut decimal = || numbers.next()?.parse::<i32>().ok();
        let reach_size = decimal()?;
        let stratum = u8::try_from(decimal()?).ok().filter(|s| *s < MAX_STRATUM)?;
        let leap = match decimal()? {
            0 => Leap::Normal,
            1 => Leap::Insert,
            2 => Leap::Delete,
            _ => return None,
        };
        Some(Self {
            name,
            authenticated,
            reach: reach.to_le_bytes()[0],
            reach_size: u8::try_from(reach_size.clamp(0, 8)).unwrap_or(0),
            stratum,
            leap,
        })
    }
}

impl Selector {
    /// The content of the dump file of a source; `None` without samples.
    #[must_use]
    pub fn dump(&self, id: SourceId) -> Option<String> {
        let source = self.source(id)?;
        let body = source.stats.dump()?;
        Some(format!(
            "{FIRST_LINE}\n{}\n{} {:o} {} {} {}\n{body}",
            source.name.configured.as_deref().unwrap_or(NO_NAME),
            u8::from(source.authenticated),
            source.reach,
            source.reach_size,
            source.stratum,
            source.leap as u8,
        ))
    }

    /// Takes the state of a source from the content of its dump file; false if it cannot be
    /// used. `era_s` is the first Unix second of the NTP era window.
    ///
    /// When all files are loaded, [`Selector::loaded_dumps`] selects from what there is.
    pub fn load_dump(
        &mut self,
        id: SourceId,
        text: &str,
        now: Timestamp<Cooked>,
        era_s: i64,
        out: &mut Vec<SelectAction>,
    ) -> bool {
        let log_statistics = self.config.log_statistics;
        let Some(source) = self.source_mut(id) else {
            return false;
        };
        let mut lines = text.lines();
        let usable = Head::parse(&mut lines).filter(|head| {
            let right_name = match source.kind {
                SourceKind::Ntp => source.name.configured.as_deref() == Some(head.name),
                SourceKind::Refclock => true,
            };
            right_name && (head.authenticated || !source.authenticated)
        });
        let loaded = usable.and_then(|head| {
            let statistics = source.stats.load(&mut lines, now, era_s).ok()?;
            Some((head, statistics))
        });
        let name = source.name.short.clone();
        let Some((head, statistics)) = loaded else {
            out.push(SelectAction::Log(SelectEvent::DumpRefused { source: name }));
            return false;
        };
        source.reach = head.reach;
        source.reach_size = head.reach_size;
        source.stratum = head.stratum;
        source.leap = head.leap;
        if let Some(statistics) = statistics.filter(|_| log_statistics) {
            out.push(SelectAction::LogStatistics(StatisticsRecord {
                source: name.clone(),
                statistics,
            }));
        }
        out.push(SelectAction::Log(SelectEvent::DumpLoaded { source: name }));
        true
    }

    /// Selects after dump files were loaded.
    pub fn loaded_dumps(&mut self, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        for source in &mut self.sources {
            source.updates += 1;
        }
        self.select(cx, None, out);
    }
}
