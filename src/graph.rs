//! `dpx graph`: the stages of an experiment as a diagram.

use super::experiment::ExperimentArgs;
use super::{Error, ExitCode, output};
use dpx_engine::plan::{Plan, Seen, by_stage};
use std::fmt::Write;

/// Print the instances of an experiment and what they read, as a Mermaid or DOT diagram.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Language of the diagram
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// One node per stage instead of one per instance
    #[arg(long)]
    stages: bool,
}

/// Languages of diagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// GitHub and many editors draw it: https://mermaid.js.org
    Mermaid,
    /// Graphviz: `dpx graph FILE --format dot | dot -Tsvg`
    Dot,
}

/// Nodes with their text, and edges between them.
struct Diagram {
    nodes: Vec<String>,
    edges: Vec<(usize, usize)>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    // A diagram needs no data: sources that are missing or not downloaded yet do not matter.
    let plan = args.experiment.plan(&Seen)?;
    let diagram = if args.stages {
        stages(&plan)
    } else {
        instances(&plan)
    };
    let text = match args.format {
        Format::Mermaid => mermaid(&diagram),
        Format::Dot => dot(&diagram),
    };
    output::print(text.trim_end())?;
    Ok(ExitCode::Done)
}

fn instances(plan: &Plan) -> Diagram {
    let mut diagram = Diagram {
        nodes: Vec::new(),
        edges: Vec::new(),
    };
    for (id, instance) in plan.instances.iter().enumerate() {
        diagram.nodes.push(instance.name.to_string());
        for need in &instance.needs {
            diagram.edges.push((need.instance, id));
        }
    }
    diagram
}

fn stages(plan: &Plan) -> Diagram {
    let groups = by_stage(plan);
    let position = |name: &str| groups.iter().position(|(stage, _)| stage == name);
    let mut diagram = Diagram {
        nodes: Vec::new(),
        edges: Vec::new(),
    };
    for (node, (stage, ids)) in groups.iter().enumerate() {
        diagram.nodes.push(match ids.len() {
            1 => stage.clone(),
            count => format!("{stage} ({count})"),
        });
        for need in &plan.instances[ids[0]].needs {
            diagram
                .edges
                .extend(position(&need.stage).map(|from| (from, node)));
        }
    }
    diagram
}

fn mermaid(diagram: &Diagram) -> String {
    let mut text = String::from("flowchart TD\n");
    for (node, name) in diagram.nodes.iter().enumerate() {
        // Quotes are the one character that a quoted Mermaid text cannot hold.
        let name = name.replace('"', "#quot;");
        let _ = writeln!(text, "    n{node}[\"{name}\"]");
    }
    for (from, to) in &diagram.edges {
        let _ = writeln!(text, "    n{from} --> n{to}");
    }
    text
}

fn dot(diagram: &Diagram) -> String {
    let mut text =
        String::from("digraph experiment {\n    rankdir = TB;\n    node [shape = box];\n");
    for (node, name) in diagram.nodes.iter().enumerate() {
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(text, "    n{node} [label = \"{name}\"];");
    }
    for (from, to) in &diagram.edges {
        let _ = writeln!(text, "    n{from} -> n{to};");
    }
    text.push_str("}\n");
    text
}
