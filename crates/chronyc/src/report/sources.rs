//! Reports with a line or a block for each source (`chronyc.md` 6.1 to 6.4, 6.7 and 6.14).

use super::ask;
use crate::session::{Outcome, Session};
use timewright_control::reply::{
    AuthMode, NtpData, SourceData, SourceMode, SourceState, TestFlags,
};
use timewright_control::request::SelectFlags;
use timewright_control::{Address, Request, refid};
use timewright_time::log2_to_seconds;

const SOURCES_LEGEND: &str = r"
  .-- Source mode  '^' = server, '=' = peer, '#' = local clock.
 / .- Source state '*' = current best, '+' = combined, '-' = not combined,
| /             'x' = may be in error, '~' = too variable, '?' = unusable.
||                                                 .- xxxx [ yyyy ] +/- zzzz
||      Reachability register (octal) -.           |  xxxx = adjusted offset,
||      Log2(Polling interval) --.      |          |  yyyy = measured offset,
||                                \     |          |  zzzz = estimated error.
||                                 |    |           \
";

const SOURCES_HEADER: &str =
    "MS Name/IP address         Stratum Poll Reach LastRx Last sample               ";

const STATS_LEGEND: &str = r"                             .- Number of sample points in measurement set.
                            /    .- Number of residual runs with same sign.
                           |    /    .- Length of measurement set (time).
                           |   |    /      .- Est. clock freq error (ppm).
                           |   |   |      /           .- Est. error in freq.
                           |   |   |     |           /         .- Est. offset.
                           |   |   |     |          |          |   On the -.
                           |   |   |     |          |          |   samples. \
                           |   |   |     |          |          |             |
";

const STATS_HEADER: &str =
    "Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev";

const SELECT_LEGEND: &str = r"  . State: N - noselect, s - unsynchronised, M - missing samples,
 /         d/D - large distance, ~ - jittery, w/W - waits for others,
|          S - stale, O - orphan, T - not trusted, P - not preferred,
|          U - waits for update,, x - falseticker, + - combined, * - best.
|   Effective options   ---------.  (N - noselect, P - prefer
|   Configured options  ----.     \  T - trust, R - require)
|   Auth. enabled (Y/N) -.   \     \     Offset interval --.
|                        |    |     |                       |
";

const SELECT_HEADER: &str =
    "S Name/IP Address        Auth COpts EOpts Last Score     Interval  Leap";

const AUTH_LEGEND: &str = r"                             .- Auth. mechanism (NTS, SK - symmetric key)
                            |   Key length -.  Cookie length (bytes) -.
                            |       (bits)  |  Num. of cookies --.    |
                            |               |  Key est. attempts  |   |
                            |               |           |         |   |
";

const AUTH_HEADER: &str =
    "Name/IP address             Mode KeyID Type KLen Last Atmp  NAK Cook CLen";

/// What stands above a list.
struct Heading {
    legend: &'static str,
    header: &'static str,
    /// From which line on the legend points at columns behind the name.
    pointing_from: usize,
    /// How many characters of such a line stay where they are when the name gets wider.
    fixed: usize,
}

const SOURCES: Heading = Heading {
    legend: SOURCES_LEGEND,
    header: SOURCES_HEADER,
    pointing_from: 4,
    fixed: 2,
};
const STATS: Heading = Heading {
    legend: STATS_LEGEND,
    header: STATS_HEADER,
    pointing_from: 0,
    fixed: 0,
};
const SELECTION: Heading = Heading {
    legend: SELECT_LEGEND,
    header: SELECT_HEADER,
    pointing_from: 4,
    fixed: 1,
};
const AUTHENTICATION: Heading = Heading {
    legend: AUTH_LEGEND,
    header: AUTH_HEADER,
    pointing_from: 0,
    fixed: 0,
};

impl Heading {
    /// The legend, its pointers moved by the width added to the column of names.
    fn legend(&self, added: usize) -> String {
        let added = " ".repeat(added);
        let mut text = String::new();
        for (number, line) in self.legend.split_inclusive('\n').enumerate() {
            match line.split_at_checked(self.fixed) {
                Some((fixed, moving)) if number >= self.pointing_from => {
                    text.extend([fixed, &added, moving]);
                }
                _ => text.push_str(line),
            }
        }
        text
    }
}

/// Options of the reports that list sources; other words are ignored.
struct ListOptions {
    /// Sources without address too.
    all: bool,
    /// With a legend.
    verbose: bool,
}

impl ListOptions {
    fn parse(arguments: &str) -> Self {
        let has = |option| arguments.split(' ').any(|word| word == option);
        Self {
            all: has("-a"),
            verbose: has("-v"),
        }
    }

    const fn skips(&self, address: Address) -> bool {
        !self.all && matches!(address, Address::Id(_))
    }
}

/// Prints legend and header, and tells how many sources follow.
fn begin_list(
    session: &mut Session<'_>,
    options: &ListOptions,
    heading: &Heading,
) -> Result<u32, crate::session::Failed> {
    let count = session.source_count()?;
    if options.verbose {
        session.print_legend(&heading.legend(session.added_width()));
    }
    session.print_list_header(heading.header);
    Ok(count)
}

/// `sources`
pub(crate) fn sources(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let options = ListOptions::parse(arguments);
    let count = begin_list(session, &options, &SOURCES)?;
    for index in 0..count {
        let source = ask!(session, Request::SourceData(index), SourceData);
        if options.skips(source.address) {
            continue;
        }
        let name = session.source_name(source.address, clock_of(&source), session.name_column());
        let row = session
            .row()
            .chr(mode_char(source.mode))
            .chr(state_char(source.state))
            .lit(" ")
            .name(session.name_column() + 2, &name)
            .lit("  ")
            .int(2, source.stratum)
            .lit("  ")
            .int(2, source.poll)
            .lit("   ")
            .octal(3, source.reachability)
            .lit("  ")
            .interval(source.since_sample)
            .lit("  ")
            .offset(source.adjusted_offset)
            .lit("[")
            .offset(source.original_offset)
            .lit("] +/- ")
            .magnitude(source.error);
        session.print_row(row);
    }
    Ok(())
}

/// The reference ID, if the source is a reference clock: it travels as an IPv4 address.
const fn clock_of(source: &SourceData) -> Option<u32> {
    match (source.mode, source.address) {
        (SourceMode::RefClock, Address::V4(id)) => Some(id.to_bits()),
        _ => None,
    }
}

const fn mode_char(mode: SourceMode) -> char {
    match mode {
        SourceMode::Client => '^',
        SourceMode::Peer => '=',
        SourceMode::RefClock => '#',
        SourceMode::Other(_) => ' ',
    }
}

const fn state_char(state: SourceState) -> char {
    match state {
        SourceState::Selected => '*',
        SourceState::NonSelectable => '?',
        SourceState::Falseticker => 'x',
        SourceState::Jittery => '~',
        SourceState::Combined => '+',
        SourceState::Selectable => '-',
        SourceState::Other(_) => ' ',
    }
}

/// The reference ID of a source without address, which is a reference clock.
fn clock_without_address(address: Address, refid: u32) -> Option<u32> {
    (address == Address::Unspecified).then_some(refid)
}

/// `sourcestats`
pub(crate) fn source_stats(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let options = ListOptions::parse(arguments);
    let count = begin_list(session, &options, &STATS)?;
    for index in 0..count {
        let stats = ask!(session, Request::SourceStats(index), SourceStats);
        if options.skips(stats.address) {
            continue;
        }
        let clock = clock_without_address(stats.address, stats.refid);
        let name = session.source_name(stats.address, clock, session.name_column());
        let row = session
            .row()
            .name(session.name_column(), &name)
            .lit(" ")
            .int(3, stats.samples)
            .lit(" ")
            .int(3, stats.runs)
            .lit("  ")
            .interval(stats.span)
            .lit(" ")
            .signed_ppm(stats.residual_frequency_ppm)
            .lit(" ")
            .ppm(stats.skew_ppm)
            .lit("  ")
            .offset(stats.offset)
            .lit("  ")
            .magnitude(stats.std_dev);
        session.print_row(row);
    }
    Ok(())
}

/// Letters of selection options, in the order of their column.
const SELECT_LETTERS: [(SelectFlags, char); 4] = [
    (SelectFlags::NOSELECT, 'N'),
    (SelectFlags::PREFER, 'P'),
    (SelectFlags::TRUST, 'T'),
    (SelectFlags::REQUIRE, 'R'),
];

/// `selectdata`
pub(crate) fn select_data(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let options = ListOptions::parse(arguments);
    let count = begin_list(session, &options, &SELECTION)?;
    for index in 0..count {
        let data = ask!(session, Request::SelectData(index), SelectData);
        if options.skips(data.address) {
            continue;
        }
        let clock = clock_without_address(data.address, data.refid);
        let name = session.source_name(data.address, clock, session.name_column());
        let mut row = session
            .row()
            .chr(char::from(data.state))
            .lit(" ")
            .name(session.name_column(), &name)
            .lit(" ")
            .chr(if data.authenticated { 'Y' } else { 'N' });
        for set in [data.configured, data.effective] {
            row = row.lit(" ");
            for (flag, letter) in SELECT_LETTERS {
                row = row.chr(if set.contains(flag) { letter } else { '-' });
            }
            row = row.chr('-'); // a place for an option yet to come
        }
        let row = row
            .lit(" ")
            .interval(data.last_sample_ago)
            .lit(" ")
            .real(5, 1, data.score)
            .lit(" ")
            .offset(data.low_limit)
            .lit(" ")
            .offset(data.high_limit)
            .lit("  ")
            .leap_char(data.leap.into());
        session.print_row(row);
    }
    Ok(())
}

/// `authdata`
pub(crate) fn auth_data(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let options = ListOptions::parse(arguments);
    let count = begin_list(session, &options, &AUTHENTICATION)?;
    for index in 0..count {
        let source = ask!(session, Request::SourceData(index), SourceData);
        if options.skips(source.address) || !is_ntp(source.mode) {
            continue;
        }
        let auth = ask!(session, Request::AuthData(source.address), AuthData);
        let name = session.source_name(source.address, None, session.name_column());
        let mode = match auth.mode {
            AuthMode::None => "-",
            AuthMode::Symmetric => "SK",
            AuthMode::Nts => "NTS",
            AuthMode::Other(_) => "?",
        };
        let row = session
            .row()
            .name(session.name_column() + 2, &name)
            .lit(" ")
            .word(4, mode)
            .lit(" ")
            .int(5, auth.key_id)
            .lit(" ")
            .int(4, auth.key_type)
            .lit(" ")
            .int(4, auth.key_length)
            .lit(" ")
            .interval(auth.last_ke_ago)
            .lit(" ")
            .int(4, auth.ke_attempts)
            .lit(" ")
            .int(4, auth.nak)
            .lit(" ")
            .int(4, auth.cookies)
            .lit(" ")
            .int(4, auth.cookie_length);
        session.print_row(row);
    }
    Ok(())
}

const fn is_ntp(mode: SourceMode) -> bool {
    matches!(mode, SourceMode::Client | SourceMode::Peer)
}

/// `ntpdata`: one source, or all that have an address.
pub(crate) fn ntp_data(session: &mut Session<'_>, arguments: &str) -> Outcome {
    if !arguments.is_empty() {
        return match session.address(arguments) {
            Some(address) => {
                let data = ask!(session, Request::NtpData(address), NtpData);
                print_ntp_data(session, &data);
                Ok(())
            }
            None => session.refuse("Could not get address for hostname"),
        };
    }
    for index in 0..session.source_count()? {
        let source = ask!(session, Request::SourceData(index), SourceData);
        if !is_ntp(source.mode) || source.address.ip().is_none() {
            continue;
        }
        let data = ask!(session, Request::NtpData(source.address), NtpData);
        session.print_legend("\n");
        print_ntp_data(session, &data);
    }
    Ok(())
}

fn print_ntp_data(session: &mut Session<'_>, data: &NtpData) {
    let refid_text = if data.stratum <= 1 {
        refid::text(data.refid)
    } else {
        String::new()
    };
    let row = session
        .row()
        .lit("Remote address  : ")
        .name(0, &data.remote_address.to_string())
        .lit(" (")
        .refid(refid::of(data.remote_address))
        .lit(")\nRemote port     : ")
        .int(0, data.remote_port)
        .lit("\nLocal address   : ")
        .name(0, &data.local_address.to_string())
        .lit(" (")
        .refid(refid::of(data.local_address))
        .lit(")\nLeap status     : ")
        .leap(data.leap.into())
        .lit("\nVersion         : ")
        .int(0, data.version)
        .lit("\nMode            : ")
        .name(0, ntp_mode(data.mode))
        .lit("\nStratum         : ")
        .int(0, data.stratum)
        .lit("\nPoll interval   : ")
        .int(0, data.poll)
        .lit(" (")
        .real(0, 0, log2_to_seconds(data.poll.into()).0)
        .lit(" seconds)\nPrecision       : ")
        .int(0, data.precision)
        .lit(" (")
        .real(0, 9, log2_to_seconds(data.precision.into()).0)
        .lit(" seconds)\nRoot delay      : ")
        .real(0, 6, data.root_delay)
        .lit(" seconds\nRoot dispersion : ")
        .real(0, 6, data.root_dispersion)
        .lit(" seconds\nReference ID    : ")
        .refid(data.refid)
        .lit(" (")
        .name(0, &refid_text)
        .lit(")\nReference time  : ")
        .time(data.reference_time)
        .lit("\nOffset          : ")
        .signed(9, data.offset)
        .lit(" seconds\nPeer delay      : ")
        .real(0, 9, data.peer_delay)
        .lit(" seconds\nPeer dispersion : ")
        .real(0, 9, data.peer_dispersion)
        .lit(" seconds\nResponse time   : ")
        .real(0, 9, data.response_time)
        .lit(" seconds\nJitter asymmetry: ")
        .signed(2, data.jitter_asymmetry);
    // Ten tests as digits in three groups: 1 to 3, 5 to 7, A to D.
    let tests = format!("{:010b}", data.flags.0 & TestFlags::TESTS.0);
    let (first, rest) = tests.split_at(3);
    let (second, third) = rest.split_at(3);
    let row = row
        .lit("\nNTP tests       : ")
        .name(0, first)
        .lit(" ")
        .name(0, second)
        .lit(" ")
        .name(0, third)
        .lit("\nInterleaved     : ")
        .yes_no(data.flags.contains(TestFlags::INTERLEAVED))
        .lit("\nAuthenticated   : ")
        .yes_no(data.flags.contains(TestFlags::AUTHENTICATED))
        .lit("\nTX timestamping : ")
        .name(0, stamp_source(data.tx_source))
        .lit("\nRX timestamping : ")
        .name(0, stamp_source(data.rx_source));
    let totals = [
        ("\nTotal TX        : ", data.total_tx),
        ("\nTotal RX        : ", data.total_rx),
        ("\nTotal valid RX  : ", data.total_valid_rx),
        ("\nTotal good RX   : ", data.total_good_rx),
        ("\nTotal kernel TX : ", data.total_kernel_tx),
        ("\nTotal kernel RX : ", data.total_kernel_rx),
        ("\nTotal HW TX     : ", data.total_hardware_tx),
        ("\nTotal HW RX     : ", data.total_hardware_rx),
    ];
    let row = totals
        .into_iter()
        .fold(row, |row, (label, total)| row.lit(label).int(0, total));
    session.print_row(row);
}

const fn ntp_mode(mode: u8) -> &'static str {
    match mode {
        1 => "Symmetric active",
        2 => "Symmetric passive",
        4 => "Server",
        _ => "Invalid",
    }
}

const fn stamp_source(source: u8) -> &'static str {
    match source {
        b'D' => "Daemon",
        b'K' => "Kernel",
        b'H' => "Hardware",
        _ => "Invalid",
    }
}

/// `sourcename ADDR`: the rest of the line is the address.
pub(crate) fn source_name(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let Some(address) = session.address(arguments) else {
        return session.refuse("Could not read address");
    };
    let name = session
        .original_name(address)
        .ok_or(crate::session::Failed)?;
    session.output.print(&format!("{name}\n"));
    Ok(())
}
