use super::*;
use std::time::Duration;

/// The shape of a browser's offer: audio that carries the BUNDLE-tag, and a data channel.
pub(crate) const OFFER: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2113937151 127.0.0.1 40001 typ host generation 0 network-cost 999\r
a=candidate:2 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0\r
a=candidate:3 1 udp 2113937151 0a1b2c3d-0000-4000-8000-000000000000.local 40002 typ host generation 0\r
a=candidate:4 1 ssltcp 1518280447 127.0.0.1 443 typ host generation 0\r
a=ice-ufrag:EsAw\r
a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r
a=ice-options:trickle\r
a=fingerprint:SHA-256 DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=sendonly\r
a=msid:- 3956b460\r
a=rtcp-mux\r
a=rtcp-mux-only\r
a=rtcp-rsize\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=ssrc:1 cname:x\r
m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r
c=IN IP4 0.0.0.0\r
a=bundle-only\r
a=mid:1\r
a=sctp-port:5000\r
a=max-message-size:262144\r
";

const DIGEST: &str = "DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:BC:BD:F1:9C:02";

fn offer_with(from: &str, to: &str) -> String {
    assert!(OFFER.contains(from), "{from}");
    OFFER.replacen(from, to, 1)
}

fn refusal(text: &str) -> Refusal {
    match Description::parse(text).and_then(|offer| Answer::to(&offer)) {
        Err(refusal) => refusal,
        Ok(_) => panic!("accepted"),
    }
}

fn is_unsupported(text: &str) -> bool {
    matches!(refusal(text), Refusal::Unsupported(_))
}

fn is_malformed(text: &str) -> bool {
    matches!(refusal(text), Refusal::Malformed(_))
}

// req: I5
#[test]
fn a_browser_s_offer_gives_the_transport_s_facts() {
    let facts = Description::parse(OFFER).unwrap().facts;
    assert_eq!(facts.parameters.username_fragment(), "EsAw");
    assert_eq!(facts.parameters.password(), "bP+XJMM09aR8AiX1jdukzR6Y");
    assert_eq!(
        (facts.mode, facts.setup, facts.pacing),
        (Mode::Full, Setup::ActPass, None)
    );
    assert!(!facts.candidates.are_all);
    let addresses: Vec<_> = facts
        .candidates
        .list
        .iter()
        .filter_map(Candidate::address)
        .collect();
    assert_eq!(
        addresses,
        ["127.0.0.1:40001".parse().unwrap()],
        "TCP, names and unknown transports are passed over"
    );
    let lite = offer_with(
        "a=extmap-allow-mixed\r\n",
        "a=ice-lite\r\na=ice-pacing:20\r\n",
    );
    let facts = Description::parse(&lite).unwrap().facts;
    assert_eq!(
        (facts.mode, facts.pacing),
        (Mode::Lite, Some(Duration::from_millis(20)))
    );
}

// req: T70
#[test]
fn identity_comes_from_the_bundle_tagged_section_and_nowhere_else() {
    // The tag is what the group names first, not the section that stands first.
    let second = "a=ice-ufrag:other\r\na=ice-pwd:other-other-other-other-other\r\na=setup:active\r\n\
                  a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n";
    let both =
        offer_with("a=bundle-only\r\n", second).replace("m=application 0", "m=application 9");
    let first_tag = Description::parse(&both).unwrap().facts;
    assert_eq!(
        (first_tag.parameters.username_fragment(), first_tag.setup),
        ("EsAw", Setup::ActPass)
    );
    let second_tag = Description::parse(&both.replace("BUNDLE 0 1", "BUNDLE 1 0"))
        .unwrap()
        .facts;
    assert_eq!(
        (second_tag.parameters.username_fragment(), second_tag.setup),
        ("other", Setup::Active)
    );
    assert_ne!(first_tag.fingerprints, second_tag.fingerprints);

    // What another section says does not help the tagged one.
    let missing = both
        .replace("BUNDLE 0 1", "BUNDLE 1 0")
        .replace("a=setup:active\r\n", "");
    assert!(is_unsupported(&missing));
}

// req: T70
#[test]
fn media_level_identity_wins_over_session_level() {
    let other = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";
    let session_level = format!(
        "a=ice-ufrag:session\r\na=ice-pwd:session-session-session\r\na=setup:passive\r\na=fingerprint:sha-256 {other}\r\na=extmap-allow-mixed\r\n"
    );
    let both = offer_with("a=extmap-allow-mixed\r\n", &session_level);
    let plain = Description::parse(OFFER).unwrap().facts;
    let facts = Description::parse(&both).unwrap().facts;
    assert_eq!(facts.parameters.username_fragment(), "EsAw");
    assert_eq!(facts.setup, Setup::ActPass);
    assert_eq!(
        facts.fingerprints, plain.fingerprints,
        "the levels do not mix"
    );

    let mut only_session = both;
    for line in [
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y",
        "a=setup:actpass",
        &format!("a=fingerprint:SHA-256 {DIGEST}"),
    ] {
        only_session = only_session.replace(&format!("{line}\r\n"), "");
    }
    let facts = Description::parse(&only_session).unwrap().facts;
    assert_eq!(
        (facts.parameters.username_fragment(), facts.setup),
        ("session", Setup::Passive)
    );
    assert_ne!(facts.fingerprints, plain.fingerprints);
}

// req: T70
#[test]
fn an_offer_without_identity_is_refused() {
    for line in [
        "a=ice-ufrag:EsAw\r\n",
        "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n",
        "a=setup:actpass\r\n",
        &format!("a=fingerprint:SHA-256 {DIGEST}\r\n"),
    ] {
        assert!(is_unsupported(&offer_with(line, "")), "{line}");
    }
    assert!(is_unsupported(&offer_with(
        "a=fingerprint:SHA-256",
        "a=fingerprint:sha-3"
    )));
    assert!(is_unsupported(&offer_with(
        "a=setup:actpass",
        "a=setup:holdconn"
    )));
}

#[test]
fn what_is_no_sdp_is_malformed() {
    for (from, to) in [
        ("v=0\r\n", ""),
        ("m=audio 9 UDP", "m=audio nine UDP"),
        ("a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y", "a=ice-pwd:short"),
        ("a=ice-ufrag:EsAw", "a=ice-ufrag:Es"),
        ("a=setup:actpass", "a=setup:whatever"),
        ("DA:7B", "DA7B"),
        ("BUNDLE 0 1", "BUNDLE 7 0 1"),
        ("BUNDLE 0 1", "BUNDLE 0 1 7"),
        ("BUNDLE 0 1", "BUNDLE 1 0"),
        ("a=mid:1", "a=mid:0"),
    ] {
        assert!(is_malformed(&offer_with(from, to)), "{from} -> {to}");
    }
    assert!(is_malformed(""));
    assert!(is_malformed("hello"));
}

#[test]
fn what_this_server_does_not_do_is_unsupported() {
    for (from, to) in [
        ("a=group:BUNDLE 0 1\r\n", ""),
        ("BUNDLE 0 1", "BUNDLE 0"),
        ("a=rtcp-mux\r\na=rtcp-mux-only\r\n", ""),
        ("opus/48000", "speex/48000"),
        ("a=sendonly", "a=recvonly"),
        ("a=sendonly", "a=inactive"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/QUIC"),
        ("webrtc-datachannel", "bfcp"),
        ("m=application 0 UDP/DTLS/SCTP", "m=application 0 DTLS/SCTP"),
        ("a=mid:1\r\n", ""),
    ] {
        assert!(is_unsupported(&offer_with(from, to)), "{from} -> {to}");
    }
    let no_sections = OFFER.split("m=audio").next().unwrap();
    assert!(is_unsupported(no_sections));
}

#[test]
fn a_refusal_never_repeats_the_line() {
    let (Refusal::Malformed(why) | Refusal::Unsupported(why)) =
        refusal(&offer_with("a=ice-pwd:bP", "a=ice-pwd:\u{e9}secret"));
    assert!(!why.contains("secret"), "{why}");
    assert_eq!(why.lines().count(), 1);
}

fn local_parameters() -> Parameters {
    Parameters::new("serv", "passwordpasswordpassword").unwrap()
}

fn local<'a>(parameters: &'a Parameters, candidates: &'a [Candidate], mode: Mode) -> Local<'a> {
    Local {
        session_id: 7,
        session_version: 1,
        parameters,
        mode,
        options: &["trickle", "ice2", "renomination"],
        pacing: (mode == Mode::Full).then_some(Duration::from_millis(50)),
        fingerprint: format!("sha-256 {DIGEST}").parse().unwrap(),
        setup: Setup::Passive,
        candidates,
    }
}

fn answer_to(offer: &str, mode: Mode) -> String {
    let candidates = [Candidate::host("192.0.2.1:10000".parse().unwrap())];
    let parameters = local_parameters();
    let offer = Description::parse(offer).unwrap();
    Answer::to(&offer)
        .unwrap()
        .text(&local(&parameters, &candidates, mode))
        .unwrap()
}

// req: I5
#[test]
fn the_answer_mirrors_the_sections_and_holds_the_transport_once() {
    let answer = answer_to(OFFER, Mode::Full);
    let (session, sections) = answer.split_once("m=audio ").unwrap();
    let (audio, application) = sections.split_once("m=application ").unwrap();
    assert!(
        session.contains("a=group:BUNDLE 0 1\r\n")
            && session.contains("a=ice-options:trickle ice2 renomination\r\n"),
        "{session}"
    );
    assert!(!session.contains("ice-lite"));
    assert!(session.contains("a=ice-pacing:50\r\n"));
    assert!(!answer_to(OFFER, Mode::Lite).contains("ice-pacing"));
    assert!(audio.starts_with("9 UDP/TLS/RTP/SAVPF 111\r\n"), "{audio}");
    for line in [
        "a=mid:0",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-mux-only",
        "a=rtpmap:111 opus/48000/2",
        "a=setup:passive",
        "a=ice-ufrag:serv",
        "a=ice-pwd:passwordpasswordpassword",
        "a=end-of-candidates",
        "a=rtcp-fb:111 transport-cc",
    ] {
        assert!(audio.contains(&format!("{line}\r\n")), "{line} in {audio}");
    }
    assert!(audio.contains(&format!("a=fingerprint:sha-256 {DIGEST}\r\n")));
    assert!(audio.contains("192.0.2.1 10000 typ host"), "{audio}");
    assert!(audio.contains("minptime=10") && audio.contains("useinbandfec=1"));
    assert!(
        application.starts_with("9 UDP/DTLS/SCTP webrtc-datachannel\r\n"),
        "{application}"
    );
    assert!(application.contains("a=mid:1\r\n") && application.contains("a=sctp-port:5000\r\n"));
    for word in [
        "ice-ufrag",
        "fingerprint",
        "candidate",
        "setup",
        "bundle-only",
        "sendonly",
        "red/48000",
    ] {
        assert!(!application.contains(word), "{word} in {application}");
    }
    assert!(answer_to(OFFER, Mode::Lite).contains("a=ice-lite\r\n"));
}

#[test]
fn a_rejected_section_stays_rejected_in_its_place() {
    let offer = offer_with("a=bundle-only\r\n", "").replace("BUNDLE 0 1", "BUNDLE 0");
    let answer = answer_to(&offer, Mode::Full);
    assert!(
        answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a=group:BUNDLE 0\r\n"));
}

#[test]
fn video_is_answered_with_one_codec_and_its_parameters() {
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96 102 103\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sendrecv\r\na=rtcp-mux\r\n\
                 a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:96 VP8/90000\r\n\
                 a=rtcp-fb:96 nack pli\r\na=rtcp-fb:102 nack\r\na=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=96\r\n";
    let offer = offer_with("BUNDLE 0 1", "BUNDLE 0 1 2") + video;
    let answer = answer_to(&offer, Mode::Full);
    let video = answer.split_once("m=video ").unwrap().1;
    assert!(video.starts_with("9 UDP/TLS/RTP/SAVPF 96\r\n"), "{video}");
    assert!(
        video.contains("a=rtcp-fb:96 nack pli\r\n")
            && !video.contains("102")
            && !video.contains("103"),
        "{video}"
    );
}

#[test]
fn a_client_s_offer_and_the_answer_to_it_are_read_back() {
    let parameters = local_parameters();
    let candidates = [Candidate::host("127.0.0.1:5".parse().unwrap())];
    let mut own = local(&parameters, &candidates, Mode::Full);
    own.setup = Setup::ActPass;
    let text = offer(&own).unwrap();
    let read = Description::parse(&text).unwrap();
    assert_eq!(read.facts.setup, Setup::ActPass);
    assert_eq!(read.facts.candidates.list.len(), 1);
    assert!(read.facts.candidates.are_all);
    let answer = Description::parse(&answer_to(&text, Mode::Lite)).unwrap();
    assert_eq!(
        (answer.facts.mode, answer.facts.setup),
        (Mode::Lite, Setup::Passive)
    );
}

fn name() -> TransportName {
    Description::parse(OFFER).unwrap().transport_name()
}

#[test]
fn a_fragment_trickles_candidates_for_its_generation() {
    let text = "a=ice-options:trickle\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
                a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
                a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\na=candidate:3 1 udp 1 name.local 5 typ host\r\na=end-of-candidates\r\n";
    let fragment = Fragment::parse(text, &name()).unwrap();
    assert_eq!(fragment.parameters.unwrap().username_fragment(), "EsAw");
    assert_eq!(fragment.candidates.list.len(), 1);
    assert!(fragment.candidates.are_all);
    assert_eq!(fragment.mode, Mode::Full);

    let session_level = Fragment::parse(
        "a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\nm=audio 9 X/Y 1\r\na=mid:0\r\na=end-of-candidates",
        &name(),
    );
    assert!(
        matches!(session_level, Err(Refusal::Malformed(_))),
        "a protocol that no WebRTC section has"
    );
    let bare = Fragment::parse(
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n",
        &name(),
    )
    .unwrap();
    assert!(bare.parameters.is_none() && bare.candidates.list.is_empty());
}

#[test]
fn a_broken_fragment_is_malformed() {
    for text in [
        "",
        "\r\n",
        "hello",
        "v=0\r\na=end-of-candidates\r\n",
        "a=ice-ufrag:EsAw\r\n",
        "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n",
        "a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:9\r\na=end-of-candidates\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=end-of-candidates\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp x y z\r\n",
    ] {
        assert!(
            matches!(Fragment::parse(text, &name()), Err(Refusal::Malformed(_))),
            "{text:?}"
        );
    }
}

#[test]
fn a_restart_s_fragment_is_read_back_as_a_new_generation() {
    let candidates = [Candidate::host("192.0.2.1:10000".parse().unwrap())];
    let text = fragment(
        &name(),
        Mode::Lite,
        &["trickle", "ice2"],
        &local_parameters(),
        &candidates,
    );
    assert!(
        text.contains("m=audio 9 UDP/TLS/RTP/SAVPF")
            && text.contains("a=ice-options:trickle ice2\r\n"),
        "{text}"
    );
    let read = Fragment::parse(&text, &name()).unwrap();
    assert_eq!(
        read.parameters.unwrap().password(),
        "passwordpasswordpassword"
    );
    assert_eq!(
        (
            read.mode,
            read.candidates.list.len(),
            read.candidates.are_all
        ),
        (Mode::Lite, 1, true)
    );
}
