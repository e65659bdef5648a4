//! A certificate that is had automatically, from an authority that others made (pebble), in a
//! network namespace of its own: the ports 443 and 80 are free there, and nobody else is asked.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::process::Program;

/// The name, which the authority's own resolver finds on the loopback interface.
const NAME: &str = "chat.example.org";

/// Set in the process that is inside the namespace.
const INSIDE: &str = "CHAT_ACME_INSIDE";

/// Far beyond what anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A program that is ended when this is dropped.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        // The program may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, args: &[&str], folder: &Path, port: u16) -> Other {
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let other = Other(child.unwrap_or_else(|error| panic!("{program}: {error}")));
    until(&format!("{program} listens"), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    other
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what}: not in time");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The output of a shell in a folder.
fn shell(script: &str, folder: &Path) -> String {
    let run = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|all| String::from_utf8_lossy(&all).into_owned());
    out + &err
}

/// The authority, and the resolver that it asks. Its own server has a certificate of an authority
/// of ours.
fn authority(folder: &Path) -> (Other, Other) {
    shell(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out csr.pem
        openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -out cert.pem",
        folder,
    );
    let names = [
        "-defaultIPv6",
        "",
        "-defaultIPv4",
        "127.0.0.1",
        "-dns01",
        "127.0.0.1:8053",
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
        "-management",
        "127.0.0.1:8055",
    ];
    let names = start("pebble-challtestsrv", &names, folder, 8055);
    (names, pebble_in(folder, ""))
}

/// The authority alone, with more of its configuration.
fn pebble_in(folder: &Path, more: &str) -> Other {
    let config = format!(
        r#"{{"pebble": {{"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
        "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": 80, "tlsPort": 443{more}}}}}"#
    );
    fs::write(folder.join("pebble.json"), config).unwrap();
    let args = ["-config", "pebble.json", "-dnsserver", "127.0.0.1:8053"];
    start("pebble", &args, folder, 14_000)
}

/// A server for the name.
fn serve(folder: &Path, data: &str) -> (Program, String) {
    let ca = folder.join("ca.pem");
    let words = [
        "--domain",
        NAME,
        "--acme-directory",
        "https://localhost:14000/dir",
        "--acme-ca",
        ca.to_str().unwrap(),
        "--data",
        data,
        "--plaintext",
        "loopback",
    ];
    Program::server(&words)
}

/// The certificate that is shown for the name: who gave it, its number, and for whom it is.
fn shown(folder: &Path) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:443 -servername {NAME} </dev/null 2>/dev/null |
        openssl x509 -noout -issuer -serial -ext subjectAltName"
    );
    shell(&script, folder)
}

fn from_the_authority(folder: &Path) -> String {
    until("a certificate of the authority", || {
        let shown = shown(folder);
        shown.contains("Pebble").then_some(shown)
    })
}

#[test]
#[ignore = "long: needs pebble, root and a network namespace"]
fn a_name_has_a_certificate_of_an_authority() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let there = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        found.is_ok_and(|found| found.status.success())
    };
    if !["pebble", "pebble-challtestsrv", "openssl", "curl"]
        .iter()
        .all(|one| there(one))
    {
        return crate::usage::skipped("there is no pebble here");
    }
    let namespace = Command::new("unshare").args(["--net", "true"]).status();
    if !namespace.is_ok_and(|status| status.success()) {
        return crate::usage::skipped("a network namespace needs root and unshare");
    }
    let this = std::env::current_exe().unwrap();
    let test = "acme::a_name_has_a_certificate_of_an_authority";
    let script = format!(
        "ip link set lo up && exec '{}' --ignored --exact {test}",
        this.display()
    );
    let run = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}{err}");
    assert!(said.contains("1 passed"), "{said}{err}");
}

fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (names, pebble) = authority(here);
    let data = here.join("data");
    let data = data.to_str().unwrap();
    let (server, at) = serve(here, data);
    // People come in from the first moment, whatever the certificate is.
    let mut ada = Program::in_lobby(&format!("tls://{at}"), "Ada");
    let first = from_the_authority(here);
    assert!(first.contains(NAME), "{first}");
    let mut berl = Program::in_lobby(&format!("wss://{at}/ws"), "Berl");
    ada.say("still here");
    berl.until("still here");

    // A browser would be led to https, take the certificate, and remember both.
    fs::write(
        here.join("root.pem"),
        shell("curl -sk https://127.0.0.1:15000/roots/0", here),
    )
    .unwrap();
    let curl = format!(
        "curl -sS --include --cacert root.pem --resolve {NAME}:443:127.0.0.1 https://{NAME}/"
    );
    let page = shell(&curl, here);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.to_lowercase().contains("strict-transport-security"),
        "{page}"
    );

    // Another start takes what is kept, and asks nobody.
    let mode = shell(
        "stat -c %a data/acme-certificate.pem data/acme-account.json",
        here,
    );
    assert_eq!(mode, "600\n600\n");
    drop((ada, berl, server, pebble));
    let (server, _) = serve(here, data);
    assert_eq!(shown(here), first);
    drop(server);

    // An authority whose certificates last for seconds: each is renewed before its end, and a
    // connection that there is goes on. The account of the authority of before is unknown here.
    let short = r#", "certificateValidityPeriod": 15"#;
    let pebble = pebble_in(here, short);
    fs::remove_file(here.join("data/acme-certificate.pem")).unwrap();
    fs::remove_file(here.join("data/acme-account.json")).unwrap();
    let (server, at) = serve(here, data);
    let mut cleo = Program::in_lobby(&format!("tls://{at}"), "Cleo");
    let mut last = from_the_authority(here);
    for _ in 0..2 {
        last = until("another certificate", || {
            let now = shown(here);
            (now.contains("Pebble") && now != last).then_some(now)
        });
        cleo.say("still here");
        cleo.until("still here");
    }
    drop((cleo, server, pebble, names));
}
