//! `README.md` of a model that is released alone: a model card that the Hugging Face Hub, `transformers` and PEFT read. A function
//! of the statement alone.

use super::card::{begin, capital, guarantee, plain, quoted};
use super::model::UNKNOWN_LICENSE;
use super::statement::{Export, ExportForm, Statement};
use super::terms::Terms;
use super::words::code;
use dpx_data::Source;
use std::fmt::Write;

/// Labels whose prompts stand in the card; the others are in the file.
const SHOWN: usize = 20;

pub(super) fn card(statement: &Statement, export: &Export) -> String {
    let mut card = front(statement, export);
    let instance = statement.released().join(", ");
    let terms = terms(export);
    let name = terms.map_or_else(
        || statement.study.clone(),
        |terms| terms.named(&statement.study),
    );
    let display = terms.and_then(|terms| terms.display);
    let _ = write!(
        card,
        "\n# Model: {}\n\n{}{}, made with dpx {} on {}. {}\n\n",
        plain(&name),
        display.map_or_else(String::new, |words| format!("**{words}.**\n\n")),
        capital(&what(statement, export, &instance)),
        statement.dpx_version,
        statement.date,
        origin(statement, export),
    );
    guarantee(&mut card, statement);
    prompts(&mut card, export);
    usage(&mut card, statement, export);
    license(&mut card, statement, export);
    card
}

/// What the license of the public model asks for.
fn terms(export: &Export) -> Option<Terms> {
    Terms::of(export.base_license.as_deref()?)
}

fn front(statement: &Statement, export: &Export) -> String {
    let mut front = begin(statement);
    let (library, relation) = match export.form {
        ExportForm::Model => ("transformers", "finetune"),
        ExportForm::Adapter => ("peft", "adapter"),
    };
    let _ = write!(
        front,
        "library_name: {library}\npipeline_tag: text-generation\n"
    );
    if let Some((name, _)) = hub(export) {
        let _ = write!(
            front,
            "base_model: {}\nbase_model_relation: {relation}\n",
            quoted(&name)
        );
    }
    front.push_str("tags:\n- dpx\n");
    if statement.claim.is_some() {
        front.push_str("- differential-privacy\n- dp-sgd\n");
    }
    if export.form == ExportForm::Adapter {
        front.push_str("- lora\n");
    }
    front.push_str("---\n");
    front
}

/// Name and commit of the public model on the Hub.
pub(super) fn hub(export: &Export) -> Option<(String, String)> {
    match Source::parse(export.base.as_deref()?) {
        Source::Hub(name) => Some((name.repository, name.revision)),
        Source::Builtin(_) | Source::Path(_) => None,
    }
}

fn what(statement: &Statement, export: &Export, instance: &str) -> String {
    let trained = if statement.claim.is_some() {
        "fine-tuned on private texts with DP-SGD"
    } else {
        "made from public data alone"
    };
    match export.form {
        ExportForm::Model => format!("the language model of {}, {trained}", code(instance)),
        ExportForm::Adapter => format!("the LoRA adapter of {}, {trained}", code(instance)),
    }
}

/// Where training started, and how the weights are stored.
fn origin(statement: &Statement, export: &Export) -> String {
    let base = match (&export.base, hub(export)) {
        (_, Some((name, commit))) => format!(
            "Training started from [{}](https://huggingface.co/{name}) at commit {}.",
            plain(&name),
            code(&commit)
        ),
        (Some(name), None) if name.starts_with("builtin:") => {
            format!(
                "Training started from {}, which is part of dpx.",
                code(name)
            )
        }
        (Some(_), None) => "Training started from a model of the publisher's own.".to_owned(),
        (None, None) if statement.claim.is_some() => {
            "Training started from a model that the study made from public texts.".to_owned()
        }
        (None, None) => String::new(),
    };
    let stored = if export.dtype == "bfloat16" {
        " The weights are rounded to bfloat16; dpx trained and sampled with 32 bits."
    } else {
        ""
    };
    let rounded = export.base_precision.rounded().map_or_else(String::new, |rounded| {
        let here = match export.form {
            ExportForm::Model => "The weights here are those rounded ones plus the adapter.",
            ExportForm::Adapter => {
                "On the weights as they are published, the adapter writes slightly other texts; `dpx export` without `--adapter` \
                 gives the model that was trained."
            }
        };
        format!(" The adapter was trained with the weights of that model frozen, {rounded}. {here}")
    });
    format!("{base}{stored}{rounded}").trim().to_owned()
}

fn prompts(card: &mut String, export: &Export) {
    let prompts = &export.prompts;
    let _ = write!(
        card,
        "## Prompts\nThe model was trained on texts behind a prompt that names their label (template {}). Ask it with exactly these prompts, no space behind them{}:\n\n| label | prompt |\n| --- | --- |\n",
        code(&prompts.template),
        if prompts.before_text.is_empty() {
            String::new()
        } else {
            format!(
                "; it continues with {}",
                code(&prompts.before_text.replace('\n', "\\n"))
            )
        }
    );
    for label in prompts.labels.iter().take(SHOWN) {
        let cell = |text: &str| code(&text.replace('\n', "\\n").replace('|', "\\|"));
        let _ = writeln!(card, "| {} | {} |", cell(&label.label), cell(&label.prompt));
    }
    if prompts.labels.len() > SHOWN {
        let _ = writeln!(card, "\nand {} more labels.", prompts.labels.len() - SHOWN);
    }
    card.push_str("\n[label_prompts.json](label_prompts.json) has all of them, with their tokens and the tokens that end a text.");
    if prompts.conversations {
        card.push_str(" Texts are conversations: turns as the chat template writes them, or where there is none as `User: ...` and `Assistant: ...`, a line a turn.");
    }
    card.push_str(" `generation_config.json` holds the settings with which the study sampled.\n\n");
}

fn usage(card: &mut String, statement: &Statement, export: &Export) {
    let prompt = export.prompts.labels.first();
    let prompt = quoted(prompt.map_or("", |label| label.prompt.as_str()));
    let generate = format!(
        "inputs = tokenizer({prompt}, return_tensors=\"pt\")\nprint(tokenizer.decode(model.generate(**inputs)[0], skip_special_tokens=True))\n"
    );
    card.push_str("## Use\n");
    match export.form {
        ExportForm::Model => {
            let _ = write!(
                card,
                "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\nmodel = AutoModelForCausalLM.from_pretrained(\"PATH/TO/THIS/FOLDER\")\ntokenizer = AutoTokenizer.from_pretrained(\"PATH/TO/THIS/FOLDER\")\n{generate}```\n\n"
            );
        }
        ExportForm::Adapter => {
            let (base, note) = match hub(export) {
                Some((name, commit)) => (
                    format!("{}, revision={}", quoted(&name), quoted(&commit)),
                    "",
                ),
                None => (
                    "\"PATH/TO/THE/BASE/MODEL\"".to_owned(),
                    "The public model is not on the Hub: it has to be at hand as it was in training.\n\n",
                ),
            };
            let _ = write!(
                card,
                "{note}```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig\nbase = AutoModelForCausalLM.from_pretrained({base}, dtype=\"float32\")\nmodel = PeftModel.from_pretrained(base, \"PATH/TO/THIS/FOLDER\")\nmodel.generation_config = GenerationConfig.from_pretrained(\"PATH/TO/THIS/FOLDER\")\ntokenizer = AutoTokenizer.from_pretrained(\"PATH/TO/THIS/FOLDER\")\n{generate}```\n\n"
            );
        }
    }
    if statement.claim.is_some() {
        card.push_str("Whatever is done with the model, prompting and further training on other data included, the guarantee holds. Its outputs may coincide with training texts in short phrases, and be wrong, harmful or biased as those of its public model.\n\n");
    }
}

fn license(card: &mut String, statement: &Statement, export: &Export) {
    let of_base = match (&export.base_license, &export.base) {
        (Some(license), _) if license != UNKNOWN_LICENSE => format!(
            "The public model behind it states the license {}; what that asks for holds for this model, too.",
            code(license)
        ),
        (_, Some(_)) => "The license of the public model behind it is not known to dpx: its folder states none. Whoever publishes this model has to know it.".to_owned(),
        (_, None) => "It was made from texts that the publisher calls public; dpx does not know their licenses.".to_owned(),
    };
    let declared = if statement.license.id == UNKNOWN_LICENSE {
        ""
    } else {
        " The license above is that of this folder."
    };
    let files = statement.models.iter().flat_map(|model| model.files.iter());
    let files: Vec<String> = files.cloned().collect();
    let duties =
        terms(export).map_or_else(String::new, |terms| format!(" {}", terms.duties(&files)));
    let _ = writeln!(card, "## License\n{of_base}{declared}{duties}");
}
