//! Reports on the server and its clients (`chronyc.md` 6.6, 6.8 and 6.9).

use super::ask;
use crate::scan::Scan;
use crate::session::{Outcome, Session};
use timewright_control::reply::{CLIENTS_MAX, ClientAccess};
use timewright_control::request::ClientsQuery;
use timewright_control::{Address, Request};

/// `activity`
pub(crate) fn activity(session: &mut Session<'_>, _: &str) -> Outcome {
    let report = ask!(session, Request::Activity, Activity);
    // The counts are read as unsigned, as in the reference.
    let row = session
        .row()
        .lit("200 OK\n")
        .int(0, report.online.cast_unsigned())
        .lit(" sources online\n")
        .int(0, report.offline.cast_unsigned())
        .lit(" sources offline\n")
        .int(0, report.burst_online.cast_unsigned())
        .lit(" sources doing burst (return to online)\n")
        .int(0, report.burst_offline.cast_unsigned())
        .lit(" sources doing burst (return to offline)\n")
        .int(0, report.unresolved.cast_unsigned())
        .lit(" sources with unknown address");
    session.print_row(row);
    Ok(())
}

/// `serverstats`. The order of lines is not that of the protocol.
pub(crate) fn server_stats(session: &mut Session<'_>, _: &str) -> Outcome {
    let stats = ask!(session, Request::ServerStats, ServerStats);
    let lines = [
        ("NTP packets received", stats.ntp_hits),
        ("NTP packets dropped", stats.ntp_drops),
        ("Command packets received", stats.cmd_hits),
        ("Command packets dropped", stats.cmd_drops),
        ("Client log records dropped", stats.log_drops),
        ("NTS-KE connections accepted", stats.nke_hits),
        ("NTS-KE connections dropped", stats.nke_drops),
        ("Authenticated NTP packets", stats.ntp_auth_hits),
        ("Interleaved NTP packets", stats.ntp_interleaved_hits),
        ("NTP timestamps held", stats.ntp_timestamps),
        ("NTP timestamp span", stats.ntp_span),
        ("NTP daemon RX timestamps", stats.daemon_rx),
        ("NTP daemon TX timestamps", stats.daemon_tx),
        ("NTP kernel RX timestamps", stats.kernel_rx),
        ("NTP kernel TX timestamps", stats.kernel_tx),
        ("NTP hardware RX timestamps", stats.hardware_rx),
        ("NTP hardware TX timestamps", stats.hardware_tx),
    ];
    let row = lines
        .into_iter()
        .fold(session.row(), |row, (label, value)| {
            row.lit(&format!("{label:<27}: ")).int(0, value).lit("\n")
        });
    session.print_row(row);
    Ok(())
}

/// Options of `clients`; other words are ignored.
#[derive(Clone, Copy, Default)]
struct ClientsOptions {
    min_hits: u32,
    nts_ke: bool,
    reset: bool,
}

fn parse_options(arguments: &str) -> Option<ClientsOptions> {
    let mut options = ClientsOptions::default();
    let mut words = arguments.split(' ');
    while let Some(word) = words.next() {
        match word {
            "-p" => options.min_hits = Scan::new(words.next()?).uint()?,
            "-k" => options.nts_ke = true,
            "-r" => options.reset = true,
            _ => {}
        }
    }
    Some(options)
}

/// `clients`
pub(crate) fn clients(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let Some(options) = parse_options(arguments) else {
        return session.refuse("Invalid syntax for clients command");
    };
    let second = if options.nts_ke { "NTS-KE" } else { "Cmd" };
    session.print_list_header(&format!(
        "Hostname                      NTP   Drop Int IntL Last  {second:>6}   Drop Int  Last"
    ));
    let wanted = u32::try_from(CLIENTS_MAX).unwrap_or(u32::MAX);
    let mut first_index = 0;
    loop {
        let query = ClientsQuery {
            first_index,
            max_clients: wanted,
            min_hits: options.min_hits,
            reset: options.reset.into(),
        };
        let part = ask!(session, Request::Clients(query), Clients);
        for client in &part.clients {
            if client.address != Address::Unspecified {
                print_client(session, client, options.nts_ke);
            }
        }
        // An index that does not grow would mean asking for ever.
        let done = part.next_index >= part.table_size || part.next_index <= first_index;
        if done || part.clients.len() < CLIENTS_MAX {
            return Ok(());
        }
        first_index = part.next_index;
    }
}

fn print_client(session: &mut Session<'_>, client: &ClientAccess, nts_ke: bool) {
    let (hits, drops, interval, last) = if nts_ke {
        (
            client.nke_hits,
            client.nke_drops,
            client.nke_interval,
            client.last_nke_ago,
        )
    } else {
        (
            client.cmd_hits,
            client.cmd_drops,
            client.cmd_interval,
            client.last_cmd_ago,
        )
    };
    let row = session
        .row()
        .name(
            session.name_column(),
            &session.host_name(client.address, session.name_column()),
        )
        .lit("  ")
        .int(6, client.ntp_hits)
        .lit("  ")
        .int(5, client.ntp_drops)
        .lit("  ")
        .log2_interval(client.ntp_interval)
        .lit("  ")
        .log2_interval(client.ntp_timeout_interval)
        .lit("  ")
        .interval(client.last_ntp_ago)
        .lit("  ")
        .int(6, hits)
        .lit("  ")
        .int(5, drops)
        .lit("  ")
        .log2_interval(interval)
        .lit("  ")
        .interval(last);
    session.print_row(row);
}
