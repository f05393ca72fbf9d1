import type { Fault } from "../layer_check.ts";
import type { CaseReport } from "../verify.ts";

/** One line for a reader. */
export function describeReport(report: CaseReport): string {
  const outcome = report.ok ? "ok    " : "FAILED";
  if (report.error !== undefined) return `${outcome} ${report.case}: ${report.error}`;
  const { maxAbsError, greedyMatch, stages, adapter, peers } = report;
  const parts = [
    `logits within ${maxAbsError?.toExponential(2)}`,
    `greedy ${greedyMatch ? "equal" : "differs"}`,
    describeHidden(report),
    `${stages} stage(s) on ${adapter}${peers === 0 ? "" : ` of ${peers} peer(s)`}`,
  ];
  return `${outcome} ${report.case}: ${parts.join(", ")}`;
}

function describeHidden({ ok, maxHiddenError, fault, peers }: CaseReport): string {
  if (maxHiddenError === null) {
    return peers > 0 ? "hidden states not compared on peers" : "no hidden states stored";
  }
  const error = `hidden states within ${maxHiddenError.toExponential(2)} of their size`;
  if (fault !== null) return `${error}: ${describeFault(fault)}`;
  return ok ? error : `${error}: each layer by itself is right`;
}

/** "layer 3 is wrong, first at input 1, position 17" */
function describeFault({ where, layer, input, position }: Fault): string {
  const part = where === "embedding"
    ? "the embedding"
    : where === "layer"
    ? `layer ${layer}`
    : `layer ${layer}, the last, or the head`;
  return `${part} is wrong, first at input ${input}, position ${position}`;
}
