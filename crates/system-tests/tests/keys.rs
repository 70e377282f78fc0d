//! Symmetric keys, with other implementations at the other end (`auth-nts.md` 1).

#![forbid(unsafe_code)]

use system_tests::{Host, Lab, Process, csv, seconds, source_states, wait_for};

/// Long enough for four `iburst` samples of any implementation on a busy machine.
const SYNCHRONISED: std::time::Duration = seconds(45);

const SERVER: &str = "allow 192.168.0.0/16\nlocal stratum 5\n";

#[track_caller]
fn wait_until_selected(client: &Host) {
    wait_for("the server's selection", SYNCHRONISED, || {
        (source_states(client) == [("^*".to_owned(), "192.168.163.131".to_owned())]).then_some(())
    });
}

/// All types of keys that Debian's programs know.
const KEYS: &str = "\
1 MD5 ASCII:abcdefghijkl
2 SHA1 HEX:0123456789ABCDEF0123456789ABCDEF01234567
3 SHA256 HEX:0123456789ABCDEF0123456789ABCDEF01234567
4 SHA512 HEX:0123456789ABCDEF0123456789ABCDEF01234567
5 SHA3-256 HEX:0123456789ABCDEF0123456789ABCDEF01234567
6 AES128 HEX:0123456789ABCDEF0123456789ABCDEF
7 AES256 HEX:0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
";
const OTHER_KEYS: &str = "1 MD5 ASCII:abcdefghijkm\n";

/// One server, and clients with one key after the other.
#[track_caller]
fn check_keys_are_shared(daemon: &str, client: &str) {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    for host in [&server, &host] {
        host.write("/etc/chrony.keys", KEYS);
        host.must("chmod 640 /etc/chrony.keys");
    }
    let keyfile = "keyfile /etc/chrony.keys\n";
    let _server = server.daemon(daemon, "", &format!("{SERVER}{keyfile}"));
    for key in 1..=7 {
        let config = format!("server 192.168.163.131 iburst key {key}\n{keyfile}");
        let mut client = host.daemon(client, "", &config);
        wait_until_selected(&host);
        let rows = csv(&host, "authdata");
        assert_eq!(rows[0][1..3], ["SK".to_owned(), key.to_string()]);
        client.stop();
    }
}

#[test]
fn our_keys_are_those_of_debians_client() {
    check_keys_are_shared("chronyd", "debian-chronyd");
}

#[test]
fn our_keys_are_those_of_debians_server() {
    check_keys_are_shared("debian-chronyd", "chronyd");
}

#[test]
fn a_wrong_key_is_refused_by_both() {
    for (daemon, client, control) in [
        ("chronyd", "debian-chronyd", "debian-chronyc"),
        ("debian-chronyd", "chronyd", "chronyc"),
    ] {
        let lab = Lab::new();
        let (server, host) = lab.server_and_client();
        server.write("/etc/chrony.keys", KEYS);
        host.write("/etc/chrony.keys", OTHER_KEYS);
        for host in [&server, &host] {
            host.must("chmod 640 /etc/chrony.keys");
        }
        let keyfile = "keyfile /etc/chrony.keys\n";
        let _server = server.daemon(daemon, "", &format!("{SERVER}{keyfile}"));
        let config = format!("server 192.168.163.131 iburst minpoll 0 maxpoll 0 key 1\n{keyfile}");
        let _client = host.daemon(client, "", &config);
        wait_for("responses", seconds(30), || {
            let report = host.shell(&format!("{control} ntpdata")).stdout;
            let line = report.lines().find(|line| line.starts_with("Total TX"))?;
            let sent: u32 = line.split(':').nth(1)?.trim().parse().ok()?;
            (sent >= 6).then_some(())
        });
        assert_eq!(source_states(&host)[0].0, "^?");
        // The key is put right without a restart.
        host.write("/etc/chrony.keys", KEYS);
        host.must("chronyc rekey");
        wait_until_selected(&host);
    }
}

/// Keys as ntpd takes them; those of ntpsec cannot be longer than 20 bytes in version 4.
const NTPD_KEYS: &str = "1 MD5 abcdefghijkl\n2 SHA1 0123456789abcdef0123456789abcdef01234567\n6 AES-128 0123456789abcdef0123456789abcdef\n";

fn ntpd(host: &Host, config: &str) -> Process {
    host.write("/etc/ntp.keys", NTPD_KEYS);
    host.write(
        "/etc/ntp.conf",
        format!(
            "disable ntp\nrestrict default\nrestrict 127.0.0.1\n\
             keys /etc/ntp.keys\ntrustedkey 1 2 6\n{config}"
        ),
    );
    host.spawn("ntpd -n -g -c /etc/ntp.conf -p /run/ntpd.pid")
}

#[test]
fn symmetric_keys_are_shared_with_ntpsecs_server() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    host.write("/etc/chrony.keys", KEYS);
    host.must("chmod 640 /etc/chrony.keys");
    let _server = ntpd(&server, "tos orphan 5 orphanwait 1\n");
    for key in [1, 2, 6] {
        let config = format!(
            "server 192.168.163.131 iburst minpoll 1 maxpoll 2 key {key}\n\
             keyfile /etc/chrony.keys\n"
        );
        let mut client = host.chronyd(&config);
        wait_until_selected(&host);
        assert_eq!(csv(&host, "authdata")[0][1], "SK");
        client.stop();
    }
}

#[test]
fn symmetric_keys_are_shared_with_ntpsecs_client() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    server.write("/etc/chrony.keys", KEYS);
    server.must("chmod 640 /etc/chrony.keys");
    let _server = server.chronyd(&format!("{SERVER}keyfile /etc/chrony.keys\n"));
    for key in [1, 2, 6] {
        let client = ntpd(&host, &format!("server 192.168.163.131 iburst key {key}\n"));
        wait_for("ntpd's selection of our server", SYNCHRONISED, || {
            let table = host.shell("/usr/bin/python3 /mnt/bin/ntpq -pn").stdout;
            table
                .lines()
                .any(|line| line.starts_with("*192.168.163.131"))
                .then_some(())
        });
        drop(client);
    }
    let authenticated: u64 = csv(&server, "serverstats")[0][7].parse().expect("a number");
    assert!(authenticated >= 12, "{authenticated}");
}

/// A signing service that signs with 16 bytes of its own; two clients, as Windows asks.
const SIGNING_SERVICE: &str = r#"
import os, socket, struct
os.makedirs("/run/signd", exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/signd/socket")
listener.listen()
while True:
    stream, _ = listener.accept()
    while True:
        request = stream.recv(68, socket.MSG_WAITALL)
        if len(request) < 68:
            break
        length, version, operation, packet_id, _ = struct.unpack(">IIIHH", request[:16])
        assert (length, version, operation) == (64, 0, 0), request
        signed = request[20:] + request[16:20] + b"S" * 16
        stream.sendall(struct.pack(">IIII", 12 + len(signed), 0, 3, packet_id) + signed)
"#;

/// Asks as a member of a domain and prints the answer in hexadecimal, or "silent".
const MEMBER: &str = r#"
import socket, sys
request = bytes([0x1b]) + bytes(39) + b"\x11\x22\x33\x44\x55\x66\x77\x88" + bytes.fromhex(sys.argv[1])
ntp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ntp.settimeout(float(sys.argv[2]))
ntp.sendto(request, ("192.168.163.131", 123))
try:
    print(ntp.recv(2000).hex())
except TimeoutError:
    print("silent")
"#;

#[test]
fn responses_to_members_of_a_domain_are_signed() {
    let lab = Lab::new();
    let (server, client) = lab.server_and_client();
    server.write("/signd.py", SIGNING_SERVICE);
    client.write("/member.py", MEMBER);
    let daemon = server.chronyd(&format!("{SERVER}ntpsigndsocket /run/signd\n"));
    let ask = |trailer: &str, wait: f64| {
        let line = format!("/usr/bin/python3 /member.py {trailer} {wait}");
        client.shell(&line).stdout.trim().to_owned()
    };
    let member = "01020304".to_owned() + &"00".repeat(16);
    let complaint = "Could not connect to signd socket /run/signd/socket";
    let complaints = || daemon.stderr().matches(complaint).count();
    let until_told = |count: usize| {
        wait_for("the complaint", seconds(20), || {
            assert_eq!(ask(&member, 0.5), "silent", "no service");
            (complaints() == count).then_some(())
        });
    };
    until_told(1);
    let service = server.spawn("/usr/bin/python3 /signd.py");
    for _ in 0..2 {
        let answer = wait_for("a signed response", seconds(20), || {
            Some(ask(&member, 2.0)).filter(|answer| answer != "silent")
        });
        assert_eq!(answer.len(), 2 * 68, "{answer}");
        assert!(answer.starts_with("1c05"), "{answer}");
        assert_eq!(answer[48..64], *"1122334455667788", "the originate time");
        assert_eq!(answer[96..], *format!("01020304{}", "53".repeat(16)));
    }
    assert_eq!(ask(&"00".repeat(20), 0.5), "silent", "no key id");
    assert_eq!(
        ask(&("01020304".to_owned() + &"00".repeat(68)), 0.5),
        "silent",
        "extended"
    );
    // The service goes away: that is told once, and the daemon serves on.
    drop(service);
    server.must("rm /run/signd/socket");
    until_told(2);
    for _ in 0..3 {
        assert_eq!(ask(&member, 0.5), "silent");
    }
    assert_eq!(complaints(), 2, "told once");
    let log = daemon.stderr();
    assert!(log.contains("MS-SNTP authentication enabled"), "{log}");
    assert_eq!(ask("\"\"", 2.0).len(), 96, "plain requests are answered");
}
