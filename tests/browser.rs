//! The page of a real run in a real browser: at desktop and phone width, light and dark, by keyboard, and printed.
//!
//! Skipped, loudly, only where no Chromium is installed. With DPX_TEST_SCREENSHOTS=FOLDER it leaves a picture of each.

use crate::chromium::Chromium;
use crate::real_study::RealStudy;
use serde_json::{Value, json};
use std::path::Path;

/// What a page looks like from inside: everything that must hold at every width and in every scheme.
const LOOK: &str = r##"(() => {
  const style = e => getComputedStyle(e);
  const number = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const ground = e => { for (; e; e = e.parentElement) { const c = number(style(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + .05) / (y + .05); };
  const faint = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    if (!e.checkVisibility() || e.closest('title,desc') || e.matches('[class^=cell-]')) continue;
    const ink = number(e instanceof SVGElement ? style(e).fill : style(e).color);
    if (contrast(ink, ground(e)) < 4.5) faint.push(e.textContent.slice(0, 40));
  }
  let smallest = 99; const outside = [];
  for (const text of document.querySelectorAll('svg text')) {
    if (!text.checkVisibility()) continue;
    const svg = text.ownerSVGElement, box = svg.getBoundingClientRect(), own = text.getBoundingClientRect();
    smallest = Math.min(smallest, parseFloat(style(text).fontSize) * box.width / svg.viewBox.baseVal.width);
    if (own.left < box.left - 1 || own.right > box.right + 1) outside.push(text.textContent);
  }
  const covered = [];
  for (const svg of document.querySelectorAll('svg')) {
    const texts = [...svg.querySelectorAll('text')].filter(t => t.checkVisibility() && !t.getAttribute('transform')).map(t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([a, x], at) => texts.slice(at + 1).forEach(([b, y]) => {
      if (Math.min(x.right, y.right) - Math.max(x.left, y.left) > 2 && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 4) covered.push(a + ' / ' + b);
    }));
  }
  const all = [...document.querySelectorAll('[id]')];
  return {
    faint, smallest, outside, covered,
    charts: document.querySelectorAll('svg[role=img] > title').length,
    described: document.querySelectorAll('svg[role=img] > desc').length,
    captions: [...document.querySelectorAll('table')].every(t => t.caption),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    height: document.documentElement.scrollHeight,
    stops: [...document.querySelectorAll('a[href],input,summary,[tabindex]')].filter(e => e.checkVisibility()).length,
    twins: all.length - new Set(all.map(e => e.id)).size,
    dead: [...document.querySelectorAll('a[href^="#"]')].filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length,
    policy: document.querySelector('meta[http-equiv]').content,
    clipped: [...document.querySelectorAll('.scroll > table > caption')].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > e.closest('.scroll').getBoundingClientRect().right + 1).map(e => e.textContent.slice(0, 40)),
    cut: [...document.querySelectorAll('.scroll')].filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.getAttribute('aria-label').slice(0, 40)),
  };
})()"##;

/// Whether something is shown, of a selector.
fn shown(browser: &mut Chromium, selector: &str) -> bool {
    let script = format!(
        "[...document.querySelectorAll({selector:?})].some(e => e.checkVisibility() && e.getClientRects().length > 0)"
    );
    browser.evaluate(&script).as_bool().unwrap()
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn start() -> Option<Chromium> {
    let browser = Chromium::start();
    if browser.is_none() {
        eprintln!(
            "SKIPPED: NO CHROMIUM FOUND. The report was not opened in a browser: install Debian's `chromium`."
        );
    }
    browser
}

#[test]
fn the_page_of_a_real_run_is_sound_at_every_width_and_in_both_schemes() {
    let Some(mut browser) = start() else { return };
    let page = RealStudy::get().results("report.html");
    for (width, scheme) in [
        (1280, "light"),
        (1280, "dark"),
        (420, "light"),
        (390, "dark"),
    ] {
        browser.open(&page, width, scheme);
        let found = browser.evaluate(LOOK);
        let nothing: Value = json!([]);
        assert_eq!(found["faint"], nothing, "contrast of 4.5, {scheme}");
        assert_eq!(found["outside"], nothing, "no text leaves its picture");
        assert_eq!(found["covered"], nothing, "no text lies on another");
        assert!(found["smallest"].as_f64().unwrap() >= 11.0, "{found}");
        assert!(found["charts"].as_u64().unwrap() >= 12, "{found}");
        assert_eq!(found["charts"], found["described"]);
        assert_eq!(found["captions"], true);
        assert_eq!(
            found["overflow"], 0,
            "nothing is wider than the window: {found}"
        );
        assert_eq!(found["clipped"], nothing, "every caption is read whole");
        assert_eq!(
            (&found["twins"], &found["dead"]),
            (&json!(0), &json!(0)),
            "{found}"
        );
        assert!(
            found["stops"].as_u64().unwrap() < 120,
            "a short way by keyboard: {found}"
        );
        assert!(
            found["policy"]
                .as_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
        if width == 1280 {
            assert_eq!(found["cut"], nothing, "no table is wider than its place");
        }
        picture(
            &mut browser,
            &format!("{width}-{scheme}"),
            width,
            &found["height"],
        );
        quiet(&mut browser, &page);
    }
}

/// No line on the console, and no request but for the page itself.
fn quiet(browser: &mut Chromium, page: &Path) {
    for method in [
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Log.entryAdded",
    ] {
        assert_eq!(browser.take(method), Vec::<Value>::new(), "{method}");
    }
    let own = format!("file://{}", page.display());
    for request in browser.take("Network.requestWillBeSent") {
        let url = request["params"]["request"]["url"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(url == own || url.starts_with("data:"), "a request to {url}");
    }
}

/// Leaves a picture of the page where one is asked for.
fn picture(browser: &mut Chromium, name: &str, width: u32, height: &Value) {
    let Some(folder) = std::env::var_os("DPX_TEST_SCREENSHOTS") else {
        return;
    };
    let height = height.as_u64().unwrap();
    for (at, top) in (0..height).step_by(1500).enumerate() {
        let clip = json!({ "x": 0, "y": top, "width": width, "height": (height - top).min(1500), "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = browser.call("Page.captureScreenshot", &asked);
        // The protocol writes bytes in base 64; so does the file, for `base64 -d`.
        let file = Path::new(&folder).join(format!("{name}-{at:02}.png.b64"));
        std::fs::write(file, shot["data"].as_str().unwrap()).unwrap();
    }
}

#[test]
fn the_page_is_used_by_keyboard_alone() {
    let Some(mut browser) = start() else { return };
    let page = RealStudy::get().results("report.html");
    browser.open(&page, 1280, "light");
    browser.press("Tab");
    let focused = browser.evaluate("document.activeElement.textContent");
    assert_eq!(focused, "Skip to the report");
    assert!(shown(&mut browser, ".skip:focus"));
    browser.press("Enter");
    assert_eq!(browser.evaluate("location.hash"), "#status");

    assert!(shown(&mut browser, ".label-0") && !shown(&mut browser, ".label-1"));
    browser.evaluate("document.getElementById('label-0').focus()");
    browser.press("ArrowRight");
    assert!(
        !shown(&mut browser, ".label-0") && shown(&mut browser, ".label-1"),
        "the label picker works"
    );
    browser.evaluate("document.getElementById('joint-0').focus()");
    assert!(!shown(&mut browser, "output.joint"));
    browser.press(" ");
    assert!(
        shown(&mut browser, "output.joint-1"),
        "a ticked row tells what it spends"
    );
    browser.evaluate("document.querySelector('#run summary').focus()");
    assert!(!shown(&mut browser, "#run details table"));
    browser.press("Enter");
    assert!(shown(&mut browser, "#run details table"), "details open");

    // Whatever can be reached has a name that is read aloud.
    let tree = browser.call("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let reachable = nodes.iter().filter(|node| {
        let properties = node["properties"].as_array();
        properties.is_some_and(|all| {
            all.iter()
                .any(|one| one["name"] == "focusable" && one["value"]["value"] == true)
        }) && node["role"]["value"] != "RootWebArea"
    });
    let mut count = 0;
    for node in reachable {
        count += 1;
        assert_ne!(node["name"]["value"], "", "{node}");
    }
    assert!(count > 20, "{count}");
    let pictures = nodes.iter().filter(|node| node["role"]["value"] == "image");
    assert!(pictures.clone().count() >= 12);
    assert!(pictures.clone().all(|node| node["name"]["value"] != ""));
}

#[test]
fn the_printed_page_shows_everything_and_no_controls() {
    let Some(mut browser) = start() else { return };
    let page = RealStudy::get().results("report.html");
    browser.open(&page, 1280, "dark");
    browser.media("print", "light");
    for hidden in ["nav", ".picker", ".skip"] {
        assert!(!shown(&mut browser, hidden), "{hidden}");
    }
    for there in [
        ".label-0",
        ".label-1",
        "#run details table",
        "#reproduce pre",
    ] {
        assert!(shown(&mut browser, there), "{there}");
    }
    assert_eq!(
        browser.evaluate("getComputedStyle(document.body).backgroundColor"),
        "rgb(255, 255, 255)"
    );
    // Paper does not scroll: at the width of a sheet every table is whole.
    browser.open(&page, 700, "light");
    browser.media("print", "light");
    let cut = browser.evaluate(
        "[...document.querySelectorAll('.scroll, pre')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.ariaLabel)",
    );
    assert_eq!(cut, json!([]), "no table is cut on paper");
    let printed = browser.call("Page.printToPDF", &json!({ "printBackground": false }));
    assert!(printed["data"].as_str().unwrap().len() > 10_000);
}
