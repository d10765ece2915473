//! A client's logins share the part of the URL that is the same in each, and nothing else: each has its own parameters,
//! whatever the login before it asked for.

use proofkey_core::{Authorization, Usage};

mod support;

use support::{NOW, Octets, client, values};

#[test]
fn each_login_asks_for_its_own() {
    let client = client();
    let mut rng = Octets::new((0..=255).collect::<Vec<u8>>());
    let mut ask = |login: Authorization| {
        let (url, pending) = login.redirect(NOW, &mut rng).unwrap();
        let query = url.query().unwrap();
        assert_eq!(values(query, "state"), [pending.state()]);
        assert_eq!(values(query, "redirect_uri"), [pending.redirect_uri()]);
        let rest =
            ["scope", "redirect_uri", "resource", "prompt", "response_mode"].map(|name| values(query, name).concat());
        assert_eq!(values(query, "code_challenge").concat().len(), 43);
        rest.join("|")
    };
    let logins = [
        (client.authorize().scope(["a"]), "a|https://client.example.com/cb|||"),
        (client.authorize().scope(["a"]), "a|https://client.example.com/cb|||"),
        (client.authorize().scope(["a"]).redirect_uri("http://127.0.0.1:1/"), "a|http://127.0.0.1:1/|||"),
        (client.authorize().scope(["a", "b"]), "a b|https://client.example.com/cb|||"),
        (client.authorize(), "|https://client.example.com/cb|||"),
        (client.authorize().redirect_uri("http://127.0.0.1:1/"), "|http://127.0.0.1:1/|||"),
        (client.authorize().redirect_uri("http://127.0.0.1:2/"), "|http://127.0.0.1:2/|||"),
        (client.authorize().scope(["a"]), "a|https://client.example.com/cb|||"),
        (client.authorize().scope(["a"]).param("prompt", "none"), "a|https://client.example.com/cb||none|"),
        (client.authorize().scope(["a"]).form_post(), "a|https://client.example.com/cb|||form_post"),
        (
            client.authorize().scope(["a"]).resource("https://r.example"),
            "a|https://client.example.com/cb|https://r.example||",
        ),
        (client.authorize().scope(["a"]), "a|https://client.example.com/cb|||"),
    ];
    for (login, expected) in logins {
        assert_eq!(ask(login), expected);
    }
}

/// Also where a login before it had none.
#[test]
fn a_mistake_is_not_lost() {
    let client = client();
    let mut rng = Octets::new([]);
    client.authorize().scope(["a"]).redirect(NOW, &mut rng).unwrap();
    let error = client.authorize().scope(["a", "b c"]).redirect(NOW, &mut rng).unwrap_err();
    assert!(matches!(error, proofkey_core::Error::Usage(Usage::Scope)), "{error}");
    let error = client.authorize().scope(["a"]).param("state", "b").redirect(NOW, &mut rng).unwrap_err();
    assert!(matches!(error, proofkey_core::Error::Usage(Usage::OwnedParameter(_))), "{error}");
}
