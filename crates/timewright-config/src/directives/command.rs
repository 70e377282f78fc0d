//! Monitoring and control (`config.md` 4.5).

use super::server::{limit, rule};
use super::{Arity, Directive, Section, Status, rows};
use crate::config::OpenCommand;
use crate::error::Applied;
use crate::parser::{Args, Parser, find_keyword};
use crate::ratelimit::{COMMAND_OPTIONS, RateLimit};

rows! { Command:
    "bindcmdaddress" "ADDRESS|PATH", Arity::Exactly(1), "127.0.0.1, ::1",
        "Local address of command sockets, or path of the Unix socket.", bindcmdaddress;
    "bindcmddevice" "INTERFACE", Arity::Exactly(1), "", "Network interface of command sockets.",
        |p, a| { p.config.command.bind_device = Some(a.string()); Ok(()) };
    "cmdallow" "[all] [SUBNET]", Arity::Free, "", "Give chronyc access over the network.",
        |p, a| { let rule = rule(p, a, true)?; p.config.command.access.push(rule); Ok(()) };
    "cmddeny" "[all] [SUBNET]", Arity::Free, "", "Deny chronyc access over the network.",
        |p, a| { let rule = rule(p, a, false)?; p.config.command.access.push(rule); Ok(()) };
    "cmdratelimit" "[OPTION]...", Arity::Free, "", "Limit the rate of responses to chronyc.",
        |p, a| limit(&mut p.config.command.rate_limit, RateLimit::COMMAND, COMMAND_OPTIONS, a);
    "cmdport" "PORT", Arity::Exactly(1), "323", "UDP port of commands; 0 disables it.",
        |p, a| { p.config.command.port = a.int(0, 65535)?; Ok(()) };
    "opencommands" "[COMMAND]...", Arity::Free,
        "activity manual rtcdata smoothing sourcename sources sourcestats tracking",
        "Commands that are allowed over the network.", opencommands;
    "manual" "", Arity::Exactly(0), "", "Accept times given by chronyc.",
        |p, _| { p.config.command.manual = true; Ok(()) };
}

fn bindcmdaddress(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    if args.text.starts_with(b"/") {
        parser.config.command.socket = (args.text != b"/").then(|| args.path());
    } else {
        parser.config.command.bind_addresses.set(args.address()?);
    }
    Ok(())
}

fn opencommands(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let command = |word| find_keyword(word, &OpenCommand::NAMES);
    parser.config.command.open_commands = args.words().map(command).collect::<Result<_, _>>()?;
    Ok(())
}
