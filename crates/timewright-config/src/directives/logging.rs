//! Logging (`config.md` 4.7).

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::MailOnChange;
use crate::error::{Applied, Failure};
use crate::lexical::text;
use crate::parser::{Args, Parser, or_syntax};

rows! { Logging:
    "log" "[TYPE]...", Arity::Free, "", "Enable log files.", log;
    "logbanner" "ENTRIES", Arity::Exactly(1), "32", "Entries between banners in log files.",
        |p, a| { p.config.logs.banner = a.count_value()?; Ok(()) };
    "logchange" "SECONDS", Arity::Exactly(1), "1.0", "Clock error from which it is logged.",
        |p, a| { p.config.logs.change = Seconds(a.float()?); Ok(()) };
    "logdir" "DIRECTORY", Arity::Exactly(1), "", "Where log files are written.",
        |p, a| { p.config.logs.dir = Some(a.path()); Ok(()) };
    "mailonchange" "ADDRESS SECONDS", Arity::Exactly(2), "", "Send mail about large corrections.",
        |p, a| or_syntax(mailonchange(p, a));
}

fn log(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    for word in args.words() {
        parser
            .config
            .logs
            .types
            .enable(word)
            .ok_or(Failure::LogParameter)?;
    }
    Ok(())
}

fn mailonchange(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let address = text(cursor.word()?);
    let threshold = Seconds(cursor.float()?);
    parser.config.logs.mail_on_change = Some(MailOnChange { address, threshold });
    Some(())
}
