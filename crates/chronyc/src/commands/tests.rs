//! The table as a whole.

use super::*;

#[test]
fn help_is_that_of_the_reference() {
    assert_eq!(help_text(), include_str!("../../tests/data/help.txt"));
}

#[test]
fn words_are_unique() {
    let mut words: Vec<_> = all().flat_map(|command| command.words).collect();
    words.sort_unstable();
    let count = words.len();
    words.dedup();
    assert_eq!(words.len(), count);
}

#[test]
fn first_words_complete() {
    // `chronyc.md` 2, "Line editing".
    let want = "accheck activity add allow authdata burst clients cmdaccheck cmdallow cmddeny \
        cyclelogs delete deny dns dump exit help keygen local makestep manual maxdelay \
        maxdelaydevratio maxdelayratio maxpoll maxupdateskew minpoll minstratum ntpdata offline \
        offset online onoffline polltarget quit refresh rekey reload reselect reselectdist reset \
        retries rtcdata selectdata selectopts serverstats settime shutdown smoothing smoothtime \
        sourcename sources sourcestats timeout tracking trimrtc waitsync writertc";
    let (start, words) = completions("");
    assert_eq!((start, words), (0, want.split_whitespace().collect()));
}

#[test]
fn second_words_complete_after_one_space() {
    for (before, start, want) in [
        ("so", 0, vec!["sourcename", "sources", "sourcestats"]),
        ("add ", 4, vec!["peer", "pool", "server"]),
        ("add p", 4, vec!["peer", "pool"]),
        ("sources -", 8, vec!["-a", "-v"]),
        ("manual ", 7, vec!["on", "off", "delete", "list", "reset"]),
        ("reset ", 6, vec!["sources"]),
        ("add  ", 5, vec![]),
        ("add server ", 11, vec![]),
        ("nothing ", 8, vec![]),
        (" sou", 1, vec![]),
    ] {
        assert_eq!(completions(before), (start, want), "{before:?}");
    }
}

#[test]
fn lines_are_normalised() {
    for (line, want) in [
        ("  activity \t x  ", "activity x"),
        ("# activity", ""),
        (" ; x", ""),
        ("!x", ""),
        ("%", ""),
        ("", ""),
        ("x # y", "x # y"),
        ("\x0b\x0cx\x0by\r\n", "x y"),
        ("x\0y", "x"),
        ("\0x", ""),
    ] {
        assert_eq!(normalise(line), want, "{line:?}");
    }
}
