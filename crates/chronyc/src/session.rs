//! The state one run of `chronyc` carries from command to command, and the few steps that all
//! commands are made of: ask, print, name a source.

use crate::exchange::Connection;
use crate::host::{Host, addresses};
use crate::report::Row;
use std::io::{self, Write};
use std::net::IpAddr;
use timewright_control::{Address, Reply, ReplyData, Request, Status, refid};
use timewright_sys::names::Families;

/// A command did not succeed. What there was to say is said already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// How a command ended.
pub(crate) type Outcome = Result<(), Failed>;

/// How names and addresses are turned into each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming {
    /// Families that names may resolve to.
    pub(crate) families: Families,
    /// Print addresses, not names.
    pub(crate) numeric: bool,
    /// Print the names sources were configured with.
    pub(crate) original: bool,
}

/// Where replies and complaints go.
pub(crate) struct Output<'h> {
    out: Box<dyn Write + 'h>,
    errors: Box<dyn Write + 'h>,
    failed: bool,
}

impl<'h> Output<'h> {
    pub(crate) fn new(out: Box<dyn Write + 'h>, errors: Box<dyn Write + 'h>) -> Self {
        Self {
            out,
            errors,
            failed: false,
        }
    }

    /// Text for the user; that it could not be written shows in [`Self::flush`].
    pub(crate) fn print(&mut self, text: &str) {
        self.failed |= self.out.write_all(text.as_bytes()).is_err();
    }

    /// A complaint about what was typed.
    pub(crate) fn complain(&mut self, text: &str) {
        let _ = writeln!(self.errors, "{text}");
    }

    /// Hands over what there is, in the middle of a command.
    pub(crate) fn show(&mut self) {
        self.failed |= self.out.flush().is_err();
    }

    /// Hands everything over; an error if anything since the last time was lost.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let _ = self.errors.flush();
        let lost = std::mem::take(&mut self.failed);
        self.out.flush()?;
        if lost {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(())
        }
    }
}

/// Longest name shown in a column.
const NAME_COLUMN: usize = 25;

/// What wide output adds to it: any IPv6 address fits then.
const WIDE_ADDED: usize = 14;

/// Titles of the column of names.
const NAME_TITLES: [&str; 3] = ["Name/IP address", "Name/IP Address", "Hostname"];

/// Longest name shown in a line of its own.
pub(crate) const NAME_LINE: usize = 255;

/// One run of the program.
pub(crate) struct Session<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) connection: Connection<'h>,
    pub(crate) output: Output<'h>,
    pub(crate) naming: Naming,
    /// Reports as comma-separated values.
    pub(crate) csv: bool,
    /// A dot after each response.
    pub(crate) dot: bool,
    /// A wider column of names.
    pub(crate) wide: bool,
}

impl Session<'_> {
    /// Complains and fails.
    pub(crate) fn refuse<T>(&mut self, text: &str) -> Result<T, Failed> {
        self.output.complain(text);
        Err(Failed)
    }

    /// Sends a request that reports nothing, and prints its status line.
    pub(crate) fn command(&mut self, request: &Request) -> Outcome {
        self.announce(request).map(drop)
    }

    /// Sends a request, prints its status line in any case and returns what came with it.
    pub(crate) fn announce(&mut self, request: &Request) -> Result<ReplyData, Failed> {
        let Some(reply) = self.connection.submit(request) else {
            return self.no_answer();
        };
        self.output.print(reply.status.text());
        self.output.print("\n");
        self.accept(reply, request)
    }

    fn accept(&mut self, reply: Reply, request: &Request) -> Result<ReplyData, Failed> {
        if !reply.status.is_success() {
            Err(Failed)
        } else if reply.data.code() == request.command().reply() {
            Ok(reply.data)
        } else {
            self.bad_reply()
        }
    }

    /// Sends a request for a report. Anything but the report prints its status line and fails.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<ReplyData, Failed> {
        let Some(reply) = self.connection.submit(request) else {
            return self.no_answer();
        };
        if reply.status != Status::Success {
            self.output.print(reply.status.text());
            self.output.print("\n");
        }
        self.accept(reply, request)
    }

    fn no_answer<T>(&mut self) -> Result<T, Failed> {
        self.output.print("506 Cannot talk to daemon\n");
        Err(Failed)
    }

    /// A reply that does not fit its request.
    pub(crate) fn bad_reply<T>(&mut self) -> Result<T, Failed> {
        self.output.print("508 Bad reply from daemon\n");
        Err(Failed)
    }

    /// How many sources there are.
    pub(crate) fn source_count(&mut self) -> Result<u32, Failed> {
        match self.ask(&Request::SourceCount)? {
            ReplyData::SourceCount(count) => Ok(count),
            _ => self.bad_reply(),
        }
    }

    /// Starts a record of a report.
    pub(crate) const fn row(&self) -> Row {
        Row::new(self.csv)
    }

    /// Prints a finished record.
    pub(crate) fn print_row(&mut self, row: Row) {
        self.output.print(&row.finish());
    }

    /// A header and a line of `=` below it. Not in CSV.
    pub(crate) fn print_header(&mut self, header: &str) {
        if !self.csv {
            self.output
                .print(&format!("{header}\n{}\n", "=".repeat(header.len())));
        }
    }

    /// How much wider than usual the column of names is.
    pub(crate) const fn added_width(&self) -> usize {
        if self.wide { WIDE_ADDED } else { 0 }
    }

    /// Longest name shown in a column.
    pub(crate) const fn name_column(&self) -> usize {
        NAME_COLUMN + self.added_width()
    }

    /// The header of a list with a column of names.
    pub(crate) fn print_list_header(&mut self, header: &str) {
        let title = NAME_TITLES.into_iter().find_map(|title| {
            let (before, after) = header.split_once(title)?;
            Some((before, title, after))
        });
        let (before, title, after) = title.unwrap_or(("", header, ""));
        let added = " ".repeat(self.added_width());
        self.print_header(&format!("{before}{title}{added}{after}"));
    }

    /// Text that explains columns. Not in CSV.
    pub(crate) fn print_legend(&mut self, legend: &str) {
        if !self.csv {
            self.output.print(legend);
        }
    }

    /// The name of a source; of a reference clock the text of its reference ID.
    pub(crate) fn source_name(
        &mut self,
        address: Address,
        clock: Option<u32>,
        max: usize,
    ) -> String {
        if let Some(id) = clock {
            refid::text(id)
        } else if self.naming.original {
            self.original_name(address)
                .unwrap_or_else(|| "?".to_owned())
        } else {
            self.host_name(address, max)
        }
    }

    /// The name a source was configured with.
    pub(crate) fn original_name(&mut self, address: Address) -> Option<String> {
        match self.ask(&Request::SourceName(address)).ok()? {
            ReplyData::SourceName(name) => name.usable().map(str::to_owned),
            _ => None,
        }
    }

    /// The name of an address by the name service, cut to `max` characters; the address itself
    /// if it has no name or names are off.
    pub(crate) fn host_name(&self, address: Address, max: usize) -> String {
        if self.naming.numeric {
            return address.to_string();
        }
        let name = address
            .ip()
            .and_then(|ip| self.host.reverse(ip))
            .unwrap_or_else(|| address.to_string());
        if name.chars().count() <= max {
            name
        } else {
            name.chars().take(max - 1).chain(['>']).collect()
        }
    }

    /// The address a word means: `ID#n`, an IP address, or the first one of a host name.
    pub(crate) fn address(&self, word: &str) -> Option<Address> {
        Address::from_id(word).or_else(|| self.ip(word).map(Address::from))
    }

    /// The IP address a word means, by itself or through the name service.
    pub(crate) fn ip(&self, word: &str) -> Option<IpAddr> {
        addresses(self.host, word, self.naming.families)
            .first()
            .copied()
    }
}
