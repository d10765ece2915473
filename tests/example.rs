//! The example `login`, run as a person runs it: what it tells, what it keeps to itself, what it stores, and the exit
//! status of each way to fail. No browser opens: nothing is on its `PATH`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use proofkey_test_server::{RegisteredClient, TestServer};
use serde_json::{Value, json};
use url::Url;

// Alone: it is the server, the person and the browser too.

#[test]
fn without_arguments_it_tells_the_story_and_no_secret() {
    let ended = Login::new(&[]).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let steps = ["asking", "server", "client", "listening", "leaving", "browser", "returned", "exchanged", "called"];
    assert_eq!(ended.steps(), steps);
    ended.assert_silent();
    // What leaves with the browser is no secret: each value is named here, and the verifier is not among them.
    let url = Url::parse(ended.told("leaving")).expect("a URL");
    let sent: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let names: Vec<_> = sent.keys().map(String::as_str).collect();
    let expected =
        ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "scope", "state"];
    assert_eq!(names, expected);
    assert_eq!((sent["code_challenge"].len(), sent["state"].len()), (43, 43));
    assert_eq!(sent["redirect_uri"], ended.told("listening"));
    assert!(ended.told("called").contains(": 200 {"), "{}", ended.stderr);
    for fact in ["token type     Bearer", "scope          photos profile", "expires        in 3", "refresh token  yes"]
    {
        assert!(ended.stdout.contains(fact), "{fact}: {}", ended.stdout);
    }
}

#[test]
fn for_machines_there_is_one_json_object() {
    let ended = Login::new(&["--output", "json"]).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    let facts: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    assert_eq!((&facts["token_type"], &facts["scope"]), (&json!("Bearer"), &json!(["photos", "profile"])));
    assert_eq!((&facts["client_id"], &facts["has_refresh_token"]), (&json!("photo-viewer"), &json!(true)));
    assert_eq!((&facts["called"]["status"], &facts["called"]["body"]["sub"]), (&json!(200), &json!("alice")));
    assert!(facts["expires_in"].as_u64().is_some_and(|left| (3500..=3600).contains(&left)), "{facts}");
    assert!(facts["issuer"].as_str().is_some_and(|issuer| ended.stderr.contains(issuer)), "{facts}");
    assert!(facts.get("access_token").is_none() && facts.get("refresh_token").is_none(), "{facts}");
    assert_eq!(secret_like(&ended.stdout), None, "{}", ended.stdout);
    // Everything human is on stderr.
    assert!(ended.stderr.contains("exchanged") && ended.stderr.contains("called"), "{}", ended.stderr);
}

#[test]
fn secrets_are_shown_to_who_asks_for_them() {
    let ended = Login::new(&["--show-secrets"]).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    for name in ["  access token   ", "  refresh token  "] {
        let shown = ended.stdout.lines().any(|line| line.starts_with(name) && secret_like(line).is_some());
        assert!(shown, "{name}: {}", ended.stdout);
    }
    let ended = Login::new(&["--show-secrets", "--output", "json"]).end();
    let facts: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
    for name in ["access_token", "refresh_token"] {
        let shown = facts[name].as_str().expect("a token");
        assert!(secret_like(shown).is_some() && !ended.stderr.contains(shown), "{name}: {}", ended.stderr);
    }
    assert_eq!(facts["id_token"], Value::Null);
}

/// A login, a call, a forced expiry, a call (refreshed by itself), a revoke, in one command.
#[test]
fn one_command_shows_the_life_of_tokens() {
    let ended = Login::new(&["--refresh", "--revoke"]).end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let steps = ended.steps();
    let life = ["exchanged", "called", "expired", "refreshed", "called", "revoked"];
    assert_eq!(steps[steps.len() - life.len()..], life, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("with the token: 200").count(), 2, "{}", ended.stderr);
    ended.assert_silent();
}

/// Each way to log in, as one command.
#[test]
fn each_way_is_one_command() {
    for (way, steps) in [
        ("--device", &["open", "type", "or", "person", "polled", "called"][..]),
        ("--paste", &["leaving", "browser", "returned", "exchanged", "called"]),
    ] {
        let ended = Login::new(&[way]).end();
        assert_eq!(ended.status, 0, "{way}: {}", ended.stderr);
        assert_eq!(ended.steps()[3..], *steps, "{way}");
        ended.assert_silent();
        assert!(ended.stdout.contains("scope          photos profile"), "{way}: {}", ended.stdout);
    }
}

#[test]
fn stdout_is_for_another_program() {
    let token = Login::new(&["--output", "token"]).end().stdout;
    assert!(secret_like(&token).is_some_and(|found| format!("{found}\n") == token), "{token}");
    let header = Login::new(&["--output", "header"]).end().stdout;
    let token = header.strip_prefix("Authorization: Bearer ").and_then(|rest| rest.strip_suffix('\n'));
    assert!(token.is_some_and(|token| secret_like(token) == Some(token)), "{header}");
    let lines = Login::new(&["--output", "env"]).end().stdout;
    let names: Vec<_> = lines.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert_eq!(names, ["PROOFKEY_ACCESS_TOKEN", "PROOFKEY_TOKEN_TYPE", "PROOFKEY_EXPIRES_AT"]);
    assert!(lines.contains("\nPROOFKEY_TOKEN_TYPE='Bearer'\n"), "{lines}");
}

/// A word for a shell is one word, whatever the server put into its token.
#[cfg(unix)]
#[test]
fn a_shell_reads_what_was_meant() {
    let odd = "a'b\"c$(exit 9)`exit 9`\\;d";
    let server = start();
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("tokens.json");
    std::fs::write(&store, tokens(odd, &server.token_endpoint())).expect("a file");
    let arguments = ["--client-id", "photo-viewer", "--store", store.to_str().expect("a path"), "--output", "env"];
    let lines = Login::at(&server, &arguments).end().stdout;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{lines}printf %s \"$PROOFKEY_ACCESS_TOKEN\"")]);
    assert_eq!(String::from_utf8(shell.output().expect("a shell").stdout).expect("UTF-8"), odd);
}

/// Whoever closes the pipe is told by the status, and by no panic.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_printed_is_an_error() {
    for (output, fails) in [("token", true), ("json", true), ("text", true)] {
        let mut command = command(&["--output".to_owned(), output.to_owned()]);
        command.stdout(std::fs::File::options().write(true).open("/dev/full").expect("a device"));
        let ended = command.output().expect("an end");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(
            (ended.status.code(), said.contains("standard output cannot be written")),
            (Some(1), fails),
            "{said}"
        );
    }
}

/// Nor does a resource that tells what it was sent.
#[test]
fn a_resource_that_echoes_is_not_believed_to_be_discreet() {
    let server = start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/echo", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut heard = [0; 4096];
        let length = stream.read(&mut heard).expect("a request");
        let heard = String::from_utf8_lossy(&heard[..length]).into_owned();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{heard}");
        stream.write_all(answer.as_bytes()).expect("an answer");
    });
    let mut login = Login::at(&server, &["--client-id", "photo-viewer", "--call", &url, "--output", "json"]);
    let person = server.person();
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    let ended = login.end();
    assert!(ended.stdout.contains("Bearer [redacted]") && ended.stderr.contains("200"), "{}", ended.stdout);
    ended.assert_silent();
}

/// Each request and answer is told, and the secrets in them are not.
#[test]
fn verbose_tells_everything_but_secrets() {
    for way in [&["--refresh", "--revoke"][..], &["--device"], &["--paste", "--par"]] {
        let ended = Login::new(&[&["--verbose"], way].concat()).end();
        assert_eq!(ended.status, 0, "{way:?}: {}", ended.stderr);
        for told in ["> GET http://", "> POST http://", "< 200 OK", "> grant_type=", "< \"access_token\": [redacted]"] {
            assert!(ended.stderr.contains(told), "{way:?} {told}: {}", ended.stderr);
        }
        let told = |line: &&str| !line.contains("leaving") && !line.ends_with(": [redacted]");
        let open = |line: &&str| {
            !line.contains("_endpoint\": ")
                && !line.contains("_supported\": ")
                && !line.contains("grant-type")
                && !line.contains("urlencoded")
                && !line.contains("_method=")
        };
        for line in ended.stderr.lines().filter(told).filter(open) {
            let request = line.contains("> GET ") || line.contains("> POST ");
            assert!(request || secret_like(line).is_none(), "{way:?}: {line}");
        }
    }
}

// At a provider: ours, in another process, and the person is this test.

#[test]
fn it_logs_in_at_a_provider() {
    let server = start();
    for registered in RegisteredClient::ALL {
        server.forget_requests();
        let mut arguments = vec!["--client-id", registered.id, "--scope", "photos profile", "--param", "prompt=login"];
        arguments.extend(registered.secret.iter().flat_map(|secret| ["--client-secret", secret]));
        if registered == RegisteredClient::POST {
            arguments.push("--client-secret-post");
        }
        let resource = server.resource();
        arguments.extend(["--call", &resource]);
        let mut login = Login::at(&server, &arguments);
        let url = login.url();
        assert!(url.query_pairs().any(|(name, value)| (name, value) == ("prompt".into(), "login".into())), "{url}");
        let person = server.person();
        let page = person.follow(&person.allow(url.as_str())).expect("the example listens");
        assert_eq!(page.status, 200);
        assert!(page.body.contains("Login received"), "{}", page.body);
        let ended = login.end();
        assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
        assert!(ended.told("called").contains(": 200 {"), "{}", ended.stderr);
        if let Some(secret) = registered.secret {
            assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{}", ended.stderr);
        }
        let seen = server.requests();
        let asked = seen.iter().find(|seen| seen.path == "/token").expect("a token request");
        assert_eq!(asked.authorization().is_some(), registered == RegisteredClient::BASIC);
        assert_eq!(asked.parameter("client_secret").is_some(), registered == RegisteredClient::POST);
    }
}

#[test]
fn a_secret_may_come_from_the_environment() {
    let server = start();
    let registered = RegisteredClient::BASIC;
    let arguments = at(&server, &["--client-id", registered.id]);
    let with_secret = |arguments: &[String]| {
        let mut command = command(arguments);
        command.env("PROOFKEY_CLIENT_SECRET", registered.secret.expect("a secret"));
        Login::spawn(command)
    };
    assert_eq!(with_secret(&[]).end().status, 0, "the embedded server has no use for it");
    let mut login = with_secret(&arguments);
    let person = server.person();
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    let ended = login.end();
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let help = Login::new(&["--help"]).end();
    assert!(help.status == 0 && help.stdout.contains("--authorization-endpoint"), "{}", help.stdout);
}

#[test]
fn a_denied_login_has_its_own_status() {
    let server = start();
    let mut login = Login::at(&server, &["--client-id", "photo-viewer"]);
    let person = server.person();
    let page = person.follow(&person.deny(login.url().as_str())).expect("the example listens");
    assert!(page.body.contains("not granted"), "{}", page.body);
    let ended = login.end();
    assert_eq!(ended.status, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("login failed: the server refused: access_denied"), "{}", ended.stderr);
    assert_eq!(server.token_requests(), 0);
}

#[test]
fn a_refused_secret_has_the_status_of_a_refusal() {
    let server = start();
    let mut login = Login::at(&server, &["--client-id", RegisteredClient::BASIC.id, "--client-secret", "wrong-canary"]);
    let person = server.person();
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    let ended = login.end();
    assert_eq!(ended.status, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("invalid_client") && ended.stderr.contains("Check"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("canary") && !ended.stdout.contains("canary"), "{}", ended.stderr);
}

#[test]
fn nobody_coming_back_is_a_time_out() {
    let server = start();
    let began = Instant::now();
    let ended = Login::at(&server, &["--client-id", "photo-viewer", "--timeout", "1"]).end();
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody came back in time"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--timeout"), "it does not say what to do: {}", ended.stderr);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // There was no browser, and it said so.
    assert!(ended.stderr.contains("copy the URL above"), "{}", ended.stderr);
}

#[test]
fn nobody_typing_the_code_or_pasting_is_a_time_out() {
    let server = start();
    let device = server.device_authorization_endpoint();
    let device =
        ["--client-id", "photo-viewer", "--timeout", "1", "--device-authorization-endpoint", &device, "--device"];
    let ended = Login::at(&server, &device).end();
    assert_eq!((ended.status, ended.stderr.contains("nobody typed the code in time")), (4, true), "{}", ended.stderr);

    let arguments = at(&server, &["--client-id", "photo-viewer", "--timeout", "1", "--paste"]);
    let mut waiting = command(&arguments);
    waiting.stdin(Stdio::piped());
    let ended = Login::spawn(waiting).end();
    assert_eq!((ended.status, ended.stderr.contains("nothing was pasted in time")), (4, true), "{}", ended.stderr);
    let ended = Login::spawn(command(&arguments)).end();
    assert_eq!((ended.status, ended.stderr.contains("standard input ended")), (4, true), "{}", ended.stderr);
}

#[test]
fn a_code_is_typed_on_another_device() {
    let server = start();
    let device = server.device_authorization_endpoint();
    let arguments = ["--client-id", "photo-viewer", "--device-authorization-endpoint", &device, "--device"];
    for allows in [true, false] {
        let mut login = Login::at(&server, &arguments);
        let code = login.step("type");
        if allows {
            server.person().allow_device(&code);
        } else {
            server.person().deny_device(&code);
        }
        let ended = login.end();
        assert_eq!(ended.status, if allows { 0 } else { 3 }, "{}", ended.stderr);
        assert_eq!(ended.told("open"), format!("{}/device", server.issuer()));
    }
}

#[test]
fn an_address_is_pasted_back() {
    let server = start();
    let arguments = at(&server, &["--client-id", "photo-viewer", "--paste"]);
    for allows in [true, false] {
        let mut waiting = command(&arguments);
        waiting.stdin(Stdio::piped());
        let mut login = Login::spawn(waiting);
        let url = login.url();
        let (person, mut stdin) = (server.person(), login.child.stdin.take().expect("a pipe"));
        let location = if allows { person.allow(url.as_str()) } else { person.deny(url.as_str()) };
        // Whatever else is pasted first does not end it.
        let forged = location.replace("state=", "state=x");
        write!(stdin, "\nhttps://example.com/\n{forged}\n  {location}  \n").expect("it reads");
        let ended = login.end();
        assert_eq!(ended.status, if allows { 0 } else { 3 }, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("still waiting").count(), 2, "{}", ended.stderr);
    }
}

/// What is possible is chosen, and the reason told.
#[test]
fn without_a_browser_it_says_what_it_does_and_does_it() {
    let server = start();
    let device = server.device_authorization_endpoint();
    let with_device = ["--client-id", "photo-viewer", "--device-authorization-endpoint", &device];
    for (name, why) in [
        ("SSH_CONNECTION", "this is a shell from another machine"),
        ("CI", "this is a job of continuous integration"),
        ("DISPLAY", "this machine has no display"),
    ] {
        let here = |arguments: &[&str]| {
            let mut command = command(&at(&server, arguments));
            if name == "DISPLAY" {
                command.env_remove(name)
            } else {
                command.env(name, "1")
            };
            Login::spawn(command)
        };
        let mut login = here(&with_device);
        assert_eq!(
            login.step("way"),
            format!("{why}, so the login goes by a code for another device (--browser for one here)")
        );
        server.person().allow_device(&login.step("type"));
        assert_eq!(login.end().status, 0, "{why}");

        // Without a terminal nothing can be pasted; somebody may come all the same.
        let mut login = here(&with_device[..2]);
        assert_eq!(login.step("way"), format!("{why}, so somebody has to open the URL in a browser on this machine"));
        let person = server.person();
        person.follow(&person.allow(login.url().as_str())).expect("the example listens");
        assert_eq!(login.end().status, 0, "{why}");
    }
    for (name, value, why) in [
        ("WSL_DISTRO_NAME", "Debian", "this is Linux inside Windows, and the browser is Windows's"),
        ("BROWSER", "/bin/false", "the environment variable BROWSER names the browser"),
    ] {
        let mut command = command(&at(&server, &with_device));
        command.env(name, value);
        let mut login = Login::spawn(command);
        assert_eq!(login.step("way"), why);
        let person = server.person();
        person.follow(&person.allow(login.url().as_str())).expect("the example listens");
        assert_eq!(login.end().status, 0, "{why}");
    }
}

/// It has nothing to clean up: the port is free, and the status is the signal's.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_at_once() {
    use std::os::unix::process::ExitStatusExt;

    let server = start();
    let mut login = Login::at(&server, &["--client-id", "photo-viewer"]);
    let redirect_uri = Url::parse(&parameter(&login.url(), "redirect_uri")).expect("a URL");
    let address = redirect_uri[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    assert!(TcpListener::bind(&address).is_err(), "it does not listen");
    let interrupted = Command::new("/bin/kill").args(["-INT", &login.child.id().to_string()]).status().expect("kill");
    assert!(interrupted.success());
    assert_eq!(login.child.wait().expect("an end").signal(), Some(libc::SIGINT));
    TcpListener::bind(&address).expect("the port is free");
}

#[test]
fn a_forged_state_does_not_end_the_login() {
    let server = start();
    let mut login = Login::at(&server, &["--client-id", "photo-viewer", "--timeout", "2"]);
    let redirect_uri = parameter(&login.url(), "redirect_uri");
    for forged in ["code=SplxlOBeZQQYbYS6WxSbIA&state=forged", "error=access_denied", "code=a&code=b&state=c"] {
        let page = server.person().open(&format!("{redirect_uri}?{forged}")).expect("the example listens");
        assert_eq!(page.status, 400, "{forged}");
        assert!(!page.body.contains("forged") && !page.body.contains("access_denied"), "{}", page.body);
    }
    let ended = login.end();
    assert_eq!(ended.status, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("but for 3 "), "{}", ended.stderr);
    assert_eq!(server.token_requests(), 0);

    // It goes on waiting for its own, and completes with it.
    let mut login = Login::at(&server, &["--client-id", "photo-viewer"]);
    let (person, url) = (server.person(), login.url());
    let redirect_uri = parameter(&url, "redirect_uri");
    let own = person.allow(url.as_str());
    let forged = person.open(&format!("{redirect_uri}?error=access_denied&state=forged")).expect("the example listens");
    assert_eq!((forged.status, person.follow(&own).expect("the example listens").status), (400, 200));
    assert_eq!(login.end().status, 0);
}

/// A connection that says a little now and then is no reason to wait longer than was said.
#[test]
fn a_slow_stranger_does_not_hold_it_up() {
    let server = start();
    let began = Instant::now();
    let mut login = Login::at(&server, &["--client-id", "photo-viewer", "--timeout", "1"]);
    let redirect_uri = Url::parse(&parameter(&login.url(), "redirect_uri")).expect("a URL");
    let mut slow = TcpStream::connect(&redirect_uri[url::Position::BeforeHost..url::Position::AfterPort]).expect("one");
    let drip = thread::spawn(move || {
        for _ in 0..20 {
            if slow.write_all(b"G").is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
    });
    assert_eq!(login.end().status, 4);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drip.join().expect("an end");
}

#[test]
fn an_unreachable_server_is_the_network() {
    let server = start();
    // A port where nobody listens any more.
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (authorize, token) = (server.authorization_endpoint(), format!("http://{closed}/token?canary=1"));
    let arguments = ["--authorization-endpoint", &authorize, "--token-endpoint", &token, "--client-id", "photo-viewer"];
    let mut login = Login::new(&arguments);
    let person = server.person();
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    let ended = login.end();
    assert_eq!(ended.status, 6, "{}", ended.stderr);
    assert!(ended.stderr.contains("Check the network"), "{}", ended.stderr);
    ended.assert_silent();
}

// Wrong from the start.

#[test]
fn wrong_arguments_are_told_apart() {
    for arguments in [
        &["--nonsense"][..],
        &["file"],
        &["--port", "99999"],
        &["--timeout", "soon"],
        &["--param", "prompt"],
        &["--device", "--paste"],
        &["--browser", "--no-browser"],
        &["--device", "--par"],
        &["--output", "xml"],
        &["--client-id", "x"],
        &["--issuer", "https://as.example.com"],
        &["--call", "photos"],
        &["--call", "file:///etc/passwd"],
        &["--client-secret-post"],
        &["--authorization-endpoint", "https://as.example.com/authorize"],
        &["--authorization-endpoint", "https://a.example", "--token-endpoint", "https://a.example"],
        &["--token-endpoint", "https://as.example.com/token"],
    ] {
        let ended = Login::new(arguments).end();
        assert_eq!(ended.status, 2, "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("try '--help'"), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[test]
fn what_cannot_work_is_told_before_anybody_leaves() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let endpoints = |endpoint| {
        vec![
            "--authorization-endpoint",
            endpoint,
            "--token-endpoint",
            "https://as.example.com/token",
            "--client-id",
            "id",
        ]
    };
    for (arguments, why) in [
        (vec!["--port", &port], "no loopback port could be listened on: ".to_owned()),
        (vec!["--redirect-path", "callback"], "a path starts with one slash".to_owned()),
        (vec!["--redirect-path", "/a?b"], "a path starts with one slash".to_owned()),
        (endpoints("http://as.example.com/authorize"), "authorization_endpoint must be https".to_owned()),
        (endpoints("as.example.com"), "authorization_endpoint must be an absolute URI".to_owned()),
        (vec!["--param", "state=x"], "parameter \"state\" is set by the library".to_owned()),
        (vec!["--scope", "a\"b"], "a scope token must be printable ASCII".to_owned()),
    ] {
        let ended = Login::new(&arguments).end();
        let expected = if arguments.contains(&"--port") { 1 } else { 2 };
        assert_eq!(ended.status, expected, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("login failed: {why}")), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.lines().count() >= 2, "{arguments:?}: it does not say what to do: {}", ended.stderr);
        assert!(!ended.stderr.contains("leaving"), "{}", ended.stderr);
    }
}

/// The token goes to nobody whom plain text would tell it to.
#[test]
fn a_call_without_tls_is_not_made() {
    let ended = Login::new(&["--call", "http://photos.example/"]).end();
    assert_eq!(ended.status, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("resource must be https"), "{}", ended.stderr);
}

// Tokens in a file.

#[cfg(unix)]
#[test]
fn stored_tokens_are_for_their_owner_and_their_server() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens.json");
    // What was there before, for everybody to read, is replaced.
    std::fs::write(&file, tokens("old-canary", "https://as.example.com/token")).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("a mode");
    let store = file.to_str().expect("a path").to_owned();
    let mut before = String::new();
    for run in 0..2 {
        let ended = Login::new(&["--store", &store]).end();
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        // Each embedded server is another one.
        assert!(ended.stderr.contains("another server's or client's"), "run {run}: {}", ended.stderr);
        assert!(ended.steps().contains(&"exchanged") && ended.steps().contains(&"stored"), "{}", ended.stderr);
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).expect("tokens");
        assert!(text != before && !text.contains("canary"));
        let stored: proofkey::Tokens = serde_json::from_str(&text).expect("tokens");
        assert_eq!((stored.issuer(), stored.client_id()), (Some(ended.told("server")), Some("photo-viewer")));
        assert!(!ended.stderr.contains(stored.access_token().expose()), "{}", ended.stderr);
        assert_eq!(files(folder.path()), ["tokens.json"], "something is left over");
        before = text;
    }
}

#[test]
fn stored_tokens_are_used_renewed_and_given_back() {
    let server = start();
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("tokens.json").to_str().expect("a path").to_owned();
    let (revoke, resource) = (server.revocation_endpoint(), server.resource());
    let arguments =
        ["--client-id", "photo-viewer", "--store", &store, "--call", &resource, "--revocation-endpoint", &revoke];
    let stored =
        || serde_json::from_str::<proofkey::Tokens>(&std::fs::read_to_string(&store).expect("tokens")).expect("tokens");

    let mut login = Login::at(&server, &arguments);
    let person = server.person();
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    assert_eq!(login.end().status, 0);
    let first = stored();

    // Nobody logs in again.
    let ended = Login::at(&server, &arguments).end();
    assert_eq!((ended.status, ended.steps()), (0, vec!["server", "client", "kept", "called"]), "{}", ended.stderr);
    assert!(ended.told("called").contains(": 200 {"), "{}", ended.stderr);

    // What is renewed is stored, because the server takes a refresh token once.
    server.advance(Duration::from_secs(2 * 60 * 60));
    let ended = Login::at(&server, &arguments).end();
    assert_eq!(ended.steps(), ["server", "client", "kept", "stored", "refreshed", "called"], "{}", ended.stderr);
    let second = stored();
    assert_ne!(first.access_token().expose(), second.access_token().expose());
    let ended = Login::at(&server, &[&arguments[..], &["--refresh"]].concat()).end();
    assert_eq!((ended.status, ended.told("called").contains(": 200 {")), (0, true), "{}", ended.stderr);
    assert_ne!(second.access_token().expose(), stored().access_token().expose());
    assert_eq!((server.refreshes(), server.reuses()), (2, 0));

    // Another client's tokens they are not: it would have to log in.
    let other =
        ["--client-id", RegisteredClient::BASIC.id, "--client-secret", "x", "--store", &store, "--timeout", "1"];
    let ended = Login::at(&server, &other).end();
    assert_eq!(ended.status, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("another server's or client's"), "{}", ended.stderr);

    let ended = Login::at(&server, &[&arguments[..], &["--revoke"]].concat()).end();
    assert_eq!((ended.status, ended.steps().last()), (0, Some(&"revoked")), "{}", ended.stderr);
    assert!(files(folder.path()).is_empty());
    assert_eq!(server.requests().iter().filter(|seen| seen.path == "/revoke").count(), 2);
}

/// Nobody is asked while there is another way to tokens that last.
#[test]
fn stored_tokens_have_to_last() {
    let server = start();
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("tokens.json").to_str().expect("a path").to_owned();
    let run = |more: &[&str]| Login::at(&server, &[&["--client-id", "photo-viewer", "--store", &store], more].concat());
    let person = server.person();

    let mut login = run(&["--scope", "photos"]);
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    assert_eq!(login.end().status, 0);
    assert_eq!(run(&["--min-validity", "3000"]).end().steps(), ["server", "client", "kept"]);
    let ended = run(&["--min-validity", "4000"]).end();
    assert_eq!(ended.steps(), ["server", "client", "kept", "stored", "refreshed", "short"], "{}", ended.stderr);

    assert!(ended.stderr.contains("only"), "the new ones do not last as long: {}", ended.stderr);
    let mut login = run(&["--scope", "photos profile", "--timeout", "1"]);
    assert!(login.step("kept").contains("less scope"), "{}", login.told);
    assert_eq!(login.end().status, 4);

    // A grant that has ended: somebody is asked after all.
    let spent = std::fs::read_to_string(&store).expect("tokens");
    assert_eq!(run(&["--min-validity", "4000"]).end().status, 0);
    std::fs::write(&store, spent).expect("a file");
    let mut login = run(&["--min-validity", "4000"]);
    person.follow(&person.allow(login.url().as_str())).expect("the example listens");
    let ended = login.end();
    assert_eq!(ended.steps()[2..5], ["kept", "ended", "listening"], "{}", ended.stderr);
    assert!(ended.told("ended").contains("invalid_grant"), "{}", ended.stderr);
    assert_eq!(ended.status, 0);

    // A server that cannot be asked ends nothing: the tokens stay.
    let kept = std::fs::read_to_string(&store).expect("tokens");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let away = kept.replace(&server.token_endpoint(), &format!("http://{closed}/token"));
    std::fs::write(&store, &away).expect("a file");
    let (authorize, token) = (server.authorization_endpoint(), format!("http://{closed}/token"));
    let arguments = ["--authorization-endpoint", &authorize, "--token-endpoint", &token, "--client-id", "photo-viewer"];
    let ended = Login::new(&[&arguments[..], &["--store", &store, "--min-validity", "4000"]].concat()).end();
    assert_eq!((ended.status, std::fs::read_to_string(&store).expect("tokens")), (6, away), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("target.json");
    for (name, content) in
        [("link-to-file", Some(tokens("canary", "https://as.example.com/token"))), ("dangling", None)]
    {
        let link = folder.path().join(name);
        if let Some(content) = &content {
            std::fs::write(&target, content).expect("a file");
        } else {
            std::fs::remove_file(&target).expect("a file");
        }
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        let ended = Login::new(&["--store", link.to_str().expect("a path")]).end();
        assert_eq!(ended.status, 1, "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("it is not a plain file"), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains("leaving"), "{name}: nobody should log in for nothing: {}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&target).ok(), content, "{name}");
        assert!(std::fs::symlink_metadata(&link).expect("a link").is_symlink(), "{name}");
    }
    let ended = Login::new(&["--store", folder.path().to_str().expect("a path")]).end();
    assert_eq!(ended.status, 1, "{}", ended.stderr);
}

#[test]
fn a_file_of_something_else_is_left_alone_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.txt");
    let valid = tokens("canary", "https://as.example.com/token");
    for content in
        ["my canary notes", "", r#"{"canary":1}"#, &valid[..valid.len() / 2], r#"{"access_token":"canary\n"}"#]
    {
        std::fs::write(&file, content).expect("a file");
        let ended = Login::new(&["--store", file.to_str().expect("a path")]).end();
        assert_eq!(ended.status, 1, "{content}: {}", ended.stderr);
        assert!(ended.stderr.contains("cannot be read"), "{content}: {}", ended.stderr);
        assert!(!ended.stderr.contains("canary") && !ended.stdout.contains("canary"), "{}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), content);
    }
    // Where there is no folder, there is no file; better told before the login than after.
    let nowhere = folder.path().join("nowhere/tokens.json");
    let ended = Login::new(&["--store", nowhere.to_str().expect("a path")]).end();
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no such folder"), "{}", ended.stderr);
}

// The parts.

fn start() -> TestServer {
    TestServer::start().expect("a port is free")
}

/// A run of characters as tokens, codes and verifiers have them.
fn secret_like(text: &str) -> Option<&str> {
    let runs = text.split(|character: char| !character.is_ascii_alphanumeric() && !"-_.~+/".contains(character));
    // Hosts, paths and names are not that long between their signs.
    runs.flat_map(|run| run.split(['/', '.'])).find(|run| run.len() >= 20)
}

/// A record of tokens.
fn tokens(access_token: &str, token_endpoint: &str) -> String {
    json!({
        "v": 1, "access_token": access_token, "token_type": "Bearer", "issued_at": 0,
        "token_endpoint": token_endpoint, "client_id": "photo-viewer",
    })
    .to_string()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// The endpoints of this server, and these arguments.
fn at(server: &TestServer, arguments: &[&str]) -> Vec<String> {
    let (authorize, token) = (server.authorization_endpoint(), server.token_endpoint());
    let endpoints = ["--authorization-endpoint", &authorize, "--token-endpoint", &token];
    endpoints.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect()
}

/// The example beside this test, built if need be.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let test = std::env::current_exe().expect("a path");
        let profile = test.ancestors().nth(2).expect("target/debug/deps/example-..");
        let login = profile.join("examples").join(format!("login{}", std::env::consts::EXE_SUFFIX));
        if !login.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--features", "blocking", "--example", "login"]);
            build.args(["--target-dir".as_ref(), profile.parent().expect("target").as_os_str()]);
            assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo").success());
        }
        login
    })
}

fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(example());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A desktop, for all it can see, with nothing on it.
    command.env("PATH", "").env("NO_COLOR", "1").env("DISPLAY", ":0");
    for name in ["BROWSER", "CI", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "WSL_DISTRO_NAME", "WSL_INTEROP"] {
        command.env_remove(name);
    }
    command.env_remove("PROOFKEY_CLIENT_SECRET");
    command
}

/// The example, running. Dropped, it is killed.
struct Login {
    child: Child,
    /// Of its story, on stderr.
    lines: mpsc::Receiver<String>,
    told: String,
    stdout: Option<thread::JoinHandle<String>>,
}

impl Login {
    fn new(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self::spawn(command(&arguments))
    }

    fn at(server: &TestServer, arguments: &[&str]) -> Self {
        Self::spawn(command(&at(server, arguments)))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the example starts");
        let (mut stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("UTF-8");
            text
        });
        Self { child, lines, told: String::new(), stdout: Some(stdout) }
    }

    /// The next line of its story; `None` at the end.
    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => {
                self.told += &line;
                self.told += "\n";
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end of:\n{}", self.told),
        }
    }

    /// The words of this step, once it is told.
    fn step(&mut self, step: &str) -> String {
        while let Some(line) = self.line() {
            if let Some((_, words)) = line.split_once(&format!(" {step:<10} ")) {
                return words.to_owned();
            }
        }
        panic!("no {step} in:\n{}", self.told)
    }

    /// The URL that it sends the browser to, once it listens for its return.
    fn url(&mut self) -> Url {
        Url::parse(&self.step("leaving")).expect("a URL")
    }

    fn end(mut self) -> Ended {
        while self.line().is_some() {}
        let status = self.child.wait().expect("an end").code().expect("no signal");
        let stdout = self.stdout.take().expect("once").join().expect("UTF-8");
        Ended { status, stdout, stderr: std::mem::take(&mut self.told) }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it left behind.
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// Number, step, words.
    fn story(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stderr.lines().filter_map(|line| {
            let (number, rest) = line.trim_start().split_once(". ")?;
            number.parse::<u32>().ok()?;
            let (step, words) = rest.split_once(' ')?;
            Some((step, words.trim_start()))
        })
    }

    fn steps(&self) -> Vec<&str> {
        self.story().map(|(step, _)| step).collect()
    }

    /// Nothing that looks like a token is in its words, but for the URL that leaves.
    fn assert_silent(&self) {
        let lines = self.stdout.lines().chain(self.stderr.lines()).filter(|line| !line.contains("leaving"));
        for line in lines {
            assert_eq!(secret_like(line), None, "{line}");
        }
    }

    /// The words of the first step of this name.
    fn told(&self, step: &str) -> &str {
        self.story().find(|(found, _)| *found == step).unwrap_or_else(|| panic!("no {step} in:\n{}", self.stderr)).1
    }
}

/// A login takes a moment; a machine under load takes longer.
const DEADLINE: Duration = Duration::from_secs(120);
