import type { Constants } from "../gpu/preprocess.ts";
import type { WeightPart } from "../gpu/weight.ts";

/** The constants that shaders/include/weight_*.wgsl and load_x.wgsl need. */
export function weightConstants(part: WeightPart, numCols: number): Constants {
  const planes = Object.fromEntries(
    part.planeWords.map((words, plane) => [`PLANE_${plane}`, words]).slice(1),
  );
  return {
    WEIGHT_FORMAT: part.format,
    ROWS: part.numRows,
    COLS: numCols,
    COLS_TAIL: numCols % 8 !== 0,
    ...planes,
  };
}
