//! BibTeX of the methods that a study used, and of no others.

use super::study::Study;
use super::table::has;
use dpx_schema::Kind;
use std::fmt::Write;

/// One entry: key, kind, fields.
type Entry = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const ABADI: Entry = (
    "abadi2016deep",
    "inproceedings",
    &[
        (
            "author",
            "Abadi, Mart{\\'i}n and Chu, Andy and Goodfellow, Ian and McMahan, H. Brendan and Mironov, Ilya and Talwar, Kunal and Zhang, Li",
        ),
        ("title", "Deep Learning with Differential Privacy"),
        (
            "booktitle",
            "Proceedings of the 2016 ACM SIGSAC Conference on Computer and Communications Security",
        ),
        ("year", "2016"),
        ("doi", "10.1145/2976749.2978318"),
    ],
);
const MIRONOV: Entry = (
    "mironov2019renyi",
    "misc",
    &[
        ("author", "Mironov, Ilya and Talwar, Kunal and Zhang, Li"),
        (
            "title",
            "R{\\'e}nyi Differential Privacy of the Sampled {Gaussian} Mechanism",
        ),
        ("year", "2019"),
        ("eprint", "1908.10530"),
        ("archiveprefix", "arXiv"),
    ],
);
const GOPI: Entry = (
    "gopi2021numerical",
    "inproceedings",
    &[
        (
            "author",
            "Gopi, Sivakanth and Lee, Yin Tat and Wutschitz, Lukas",
        ),
        ("title", "Numerical Composition of Differential Privacy"),
        (
            "booktitle",
            "Advances in Neural Information Processing Systems",
        ),
        ("year", "2021"),
        ("eprint", "2106.02848"),
        ("archiveprefix", "arXiv"),
    ],
);
const DOROSHENKO: Entry = (
    "doroshenko2022connect",
    "article",
    &[
        (
            "author",
            "Doroshenko, Vadym and Ghazi, Badih and Kamath, Pritish and Kumar, Ravi and Manurangsi, Pasin",
        ),
        (
            "title",
            "Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions",
        ),
        ("journal", "Proceedings on Privacy Enhancing Technologies"),
        ("year", "2022"),
        ("eprint", "2207.04380"),
        ("archiveprefix", "arXiv"),
    ],
);
const BU: Entry = (
    "bu2023automatic",
    "inproceedings",
    &[
        (
            "author",
            "Bu, Zhiqi and Wang, Yu-Xiang and Zha, Sheng and Karypis, George",
        ),
        (
            "title",
            "Automatic Clipping: Differentially Private Deep Learning Made Easier and Stronger",
        ),
        (
            "booktitle",
            "Advances in Neural Information Processing Systems",
        ),
        ("year", "2023"),
        ("eprint", "2206.07136"),
        ("archiveprefix", "arXiv"),
    ],
);
const STEINKE: Entry = (
    "steinke2023privacy",
    "inproceedings",
    &[
        (
            "author",
            "Steinke, Thomas and Nasr, Milad and Jagielski, Matthew",
        ),
        ("title", "Privacy Auditing with One (1) Training Run"),
        (
            "booktitle",
            "Advances in Neural Information Processing Systems",
        ),
        ("year", "2023"),
        ("eprint", "2305.08846"),
        ("archiveprefix", "arXiv"),
    ],
);
const MAUVE: Entry = (
    "pillutla2021mauve",
    "inproceedings",
    &[
        (
            "author",
            "Pillutla, Krishna and Swayamdipta, Swabha and Zellers, Rowan and Thickstun, John and Welleck, Sean and Choi, Yejin and Harchaoui, Zaid",
        ),
        (
            "title",
            "{MAUVE}: Measuring the Gap Between Neural Text and Human Text using Divergence Frontiers",
        ),
        (
            "booktitle",
            "Advances in Neural Information Processing Systems",
        ),
        ("year", "2021"),
        ("eprint", "2102.01454"),
        ("archiveprefix", "arXiv"),
    ],
);
const LOPEZ_PAZ: Entry = (
    "lopezpaz2017revisiting",
    "inproceedings",
    &[
        ("author", "Lopez-Paz, David and Oquab, Maxime"),
        ("title", "Revisiting Classifier Two-Sample Tests"),
        (
            "booktitle",
            "International Conference on Learning Representations",
        ),
        ("year", "2017"),
        ("eprint", "1610.06545"),
        ("archiveprefix", "arXiv"),
    ],
);
const KYNKAANNIEMI: Entry = (
    "kynkaanniemi2019improved",
    "inproceedings",
    &[
        (
            "author",
            "Kynk{\\\"a}{\\\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo",
        ),
        (
            "title",
            "Improved Precision and Recall Metric for Assessing Generative Models",
        ),
        (
            "booktitle",
            "Advances in Neural Information Processing Systems",
        ),
        ("year", "2019"),
        ("eprint", "1904.06991"),
        ("archiveprefix", "arXiv"),
    ],
);
const LI: Entry = (
    "li2016diversity",
    "inproceedings",
    &[
        (
            "author",
            "Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill",
        ),
        (
            "title",
            "A Diversity-Promoting Objective Function for Neural Conversation Models",
        ),
        ("booktitle", "Proceedings of NAACL-HLT"),
        ("year", "2016"),
        ("eprint", "1510.03055"),
        ("archiveprefix", "arXiv"),
    ],
);
const ZHU: Entry = (
    "zhu2018texygen",
    "inproceedings",
    &[
        (
            "author",
            "Zhu, Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun and Yu, Yong",
        ),
        (
            "title",
            "Texygen: A Benchmarking Platform for Text Generation Models",
        ),
        (
            "booktitle",
            "The 41st International ACM SIGIR Conference on Research and Development in Information Retrieval",
        ),
        ("year", "2018"),
        ("eprint", "1802.01886"),
        ("archiveprefix", "arXiv"),
    ],
);
const CARLINI: Entry = (
    "carlini2023quantifying",
    "inproceedings",
    &[
        (
            "author",
            "Carlini, Nicholas and Ippolito, Daphne and Jagielski, Matthew and Lee, Katherine and Tram{\\`e}r, Florian and Zhang, Chiyuan",
        ),
        (
            "title",
            "Quantifying Memorization Across Neural Language Models",
        ),
        (
            "booktitle",
            "International Conference on Learning Representations",
        ),
        ("year", "2023"),
        ("eprint", "2202.07646"),
        ("archiveprefix", "arXiv"),
    ],
);
const EFRON: Entry = (
    "efron1979bootstrap",
    "article",
    &[
        ("author", "Efron, Bradley"),
        ("title", "Bootstrap Methods: Another Look at the Jackknife"),
        ("journal", "The Annals of Statistics"),
        ("volume", "7"),
        ("number", "1"),
        ("pages", "1--26"),
        ("year", "1979"),
        ("doi", "10.1214/aos/1176344552"),
    ],
);

/// The entries of what the study used: its mechanisms, its accountants, the metrics that it has.
pub fn bibtex(study: &Study) -> String {
    let kind = |kind: Kind| study.instances.iter().any(|instance| instance.kind == kind);
    let mechanisms = || study.rows.iter().flat_map(|row| &row.guarantee.mechanisms);
    let automatic = study
        .settings
        .iter()
        .any(|(name, value)| name.ends_with(".clipping") && value == "automatic");
    let intervals = study.all_rows().any(|row| !row.intervals.is_empty());
    let used = [
        (mechanisms().any(|one| one.kind == Kind::Train), ABADI),
        (mechanisms().next().is_some(), MIRONOV),
        (mechanisms().next().is_some(), GOPI),
        (mechanisms().next().is_some(), DOROSHENKO),
        (
            automatic && mechanisms().any(|one| one.kind == Kind::Train),
            BU,
        ),
        (kind(Kind::Audit), STEINKE),
        (has(study, "mauve"), MAUVE),
        (has(study, "discriminator_auc"), LOPEZ_PAZ),
        (has(study, "knn_precision"), KYNKAANNIEMI),
        (has(study, "distinct_1"), LI),
        (has(study, "self_bleu"), ZHU),
        (has(study, "copies_near"), CARLINI),
        (intervals, EFRON),
    ];
    let mut text = format!(
        "% Methods that the study `{}` used, by dpx {}. Compare each entry with its source before you print it.\n",
        study.experiment.replace(char::is_control, " "),
        study.dpx_version
    );
    for (_, (key, kind, fields)) in used.iter().filter(|(used, _)| *used) {
        let _ = writeln!(text, "\n@{kind}{{{key},");
        for (name, value) in *fields {
            let _ = writeln!(text, "  {name} = {{{value}}},");
        }
        text.push_str("}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpx_schema::ReleaseLabel;

    #[test]
    fn only_what_was_used_is_cited_and_braces_are_closed() {
        let texts: Vec<String> = (0..9).map(|row| format!("text number {row}")).collect();
        let mut study = crate::tests::fake(&["anger", "joy"], &texts, ReleaseLabel::Dp).study();
        let text = bibtex(&study);
        for key in [
            "abadi2016deep",
            "gopi2021numerical",
            "steinke2023privacy",
            "pillutla2021mauve",
            "efron1979bootstrap",
        ] {
            assert!(text.contains(key), "{key}: {text}");
        }
        assert!(!text.contains("bu2023automatic"), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        study.rows.clear();
        study.instances.clear();
        assert!(!bibtex(&study).contains("steinke2023privacy"));
    }
}
