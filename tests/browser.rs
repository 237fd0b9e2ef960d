//! The report in a real browser: headless Chromium opens the page in a frame of a harness that looks at it and clicks.
//!
//! Skipped, loudly, only where no Chromium is installed.

use dpx::report::html::{Extras, render};
use dpx::report::study::Study;
use std::path::Path;
use std::process::Command;

/// A study with three rows, two replicates each, an audit, scores and published figures, as `results.json` holds it.
const RESULTS: &str = include_str!("fixtures/report/results.json");

/// Looks at the page in its frame and writes what it finds into the document as JSON.
const HARNESS: &str = r##"<!DOCTYPE html><meta charset="utf-8"><iframe id="f" style="width:WIDTHpx;height:900px;border:0"></iframe><pre id="out">nothing</pre><script>
const frame = document.getElementById('f');
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  const shown = id => { const e = page.querySelector(id); return e && view.getComputedStyle(e).display !== 'none'; };
  const before = [shown('.label-0'), shown('.label-1')];
  page.getElementById('label-1').click();
  const after = [shown('.label-0'), shown('.label-1')];
  page.getElementById('joint-0').click();
  const joint = [...page.querySelectorAll('output.joint')].filter(e => view.getComputedStyle(e).display !== 'none').map(e => e.textContent);
  let smallest = 99, outside = 0;
  for (const text of page.querySelectorAll('svg text')) {
    const svg = text.ownerSVGElement, box = svg.getBoundingClientRect(), own = text.getBoundingClientRect();
    smallest = Math.min(smallest, parseFloat(view.getComputedStyle(text).fontSize) * box.width / svg.viewBox.baseVal.width);
    if (own.left < box.left - 1 || own.right > box.right + 1) outside++;
  }
  document.getElementById('out').textContent = JSON.stringify({
    before, after, joint, smallest, outside,
    charts: page.querySelectorAll('svg[role=img] > title').length,
    described: page.querySelectorAll('svg[role=img] > desc').length,
    captions: [...page.querySelectorAll('table')].every(t => t.caption),
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    requests: view.performance.getEntriesByType('resource').length,
    policy: page.querySelector('meta[http-equiv]').content,
    ids: [...page.querySelectorAll('[id]')].length === new Set([...page.querySelectorAll('[id]')].map(e => e.id)).size,
    dead: [...page.querySelectorAll('a[href^="#"]')].filter(a => !page.getElementById(a.getAttribute('href').slice(1))).length,
  });
};
frame.srcdoc = PAGE;
</script>"##;

fn chromium() -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let wanted = std::env::var("CHROMIUM").ok();
    wanted
        .into_iter()
        .chain(names.map(str::to_owned))
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        })
}

fn browse(chromium: &str, file: &Path, profile: &Path) -> (String, String) {
    let output = Command::new(chromium)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_page_works_in_chromium() {
    let Some(chromium) = chromium() else {
        eprintln!(
            "SKIPPED: NO CHROMIUM FOUND. The report was not opened in a browser: install Debian's `chromium`."
        );
        return;
    };
    let study: Study = serde_json::from_str(RESULTS).unwrap();
    let extras = Extras {
        experiment_file: "[experiment]\nname = \"emotion\"",
        real_texts: &[],
    };
    let page = render(&study, &extras).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("report.html");
    std::fs::write(&alone, &page).unwrap();
    let (_, log) = browse(&chromium, &alone, &folder.path().join("profile"));
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // `</` would end the harness's own script.
    let literal = serde_json::to_string(&page).unwrap().replace("</", "<\\/");
    for width in [1280, 390] {
        let harness = folder.path().join(format!("harness-{width}.html"));
        let text = HARNESS
            .replace("WIDTH", &width.to_string())
            .replace("PAGE", &literal);
        std::fs::write(&harness, text).unwrap();
        let (dom, log) = browse(&chromium, &harness, &folder.path().join("profile"));
        assert!(!log.contains("CONSOLE"), "{log}");
        let start = dom.find("<pre id=\"out\">").unwrap() + 14;
        let found = &dom[start..start + dom[start..].find("</pre>").unwrap()];
        let found: serde_json::Value =
            serde_json::from_str(&found.replace("&gt;", ">").replace("&amp;", "&"))
                .unwrap_or_else(|_| panic!("{found}"));
        assert_eq!(found["before"], serde_json::json!([true, false]), "{found}");
        assert_eq!(
            found["after"],
            serde_json::json!([false, true]),
            "the label picker works: {found}"
        );
        assert_eq!(found["joint"].as_array().unwrap().len(), 1, "{found}");
        assert!(found["charts"].as_u64().unwrap() >= 12, "{found}");
        assert_eq!(found["charts"], found["described"]);
        assert_eq!(found["captions"], true);
        assert_eq!(
            found["overflow"], 0,
            "nothing is wider than the window: {found}"
        );
        assert_eq!(found["requests"], 0, "{found}");
        assert_eq!(found["outside"], 0, "no text leaves its picture: {found}");
        assert!(found["smallest"].as_f64().unwrap() >= 11.0, "{found}");
        assert_eq!(found["ids"], true, "every id is there once");
        assert_eq!(found["dead"], 0, "every link has its target");
        assert!(
            found["policy"]
                .as_str()
                .unwrap()
                .starts_with("default-src 'none'")
        );
    }
}
