import expertActivation from "../../shaders/include/expert_activation.wgsl" with { type: "text" };
import kvLoad from "../../shaders/include/kv_load.wgsl" with { type: "text" };
import kvRow from "../../shaders/include/kv_row.wgsl" with { type: "text" };
import laneSum from "../../shaders/include/lane_sum.wgsl" with { type: "text" };
import loadMixed from "../../shaders/include/load_mixed.wgsl" with { type: "text" };
import loadX from "../../shaders/include/load_x.wgsl" with { type: "text" };
import nibbles from "../../shaders/include/nibbles.wgsl" with { type: "text" };
import ropeElement from "../../shaders/include/rope_element.wgsl" with { type: "text" };
import rowCount from "../../shaders/include/row_count.wgsl" with { type: "text" };
import step from "../../shaders/include/step.wgsl" with { type: "text" };
import tokenRow from "../../shaders/include/token_row.wgsl" with { type: "text" };
import vec8 from "../../shaders/include/vec8.wgsl" with { type: "text" };
import weightBf16 from "../../shaders/include/weight_bf16.wgsl" with { type: "text" };
import weightF16 from "../../shaders/include/weight_f16.wgsl" with { type: "text" };
import weightF32 from "../../shaders/include/weight_f32.wgsl" with { type: "text" };
import weightQ40 from "../../shaders/include/weight_q4_0.wgsl" with { type: "text" };
import weightQ41 from "../../shaders/include/weight_q4_1.wgsl" with { type: "text" };
import weightQ4K from "../../shaders/include/weight_q4_k.wgsl" with { type: "text" };
import weightQ6K from "../../shaders/include/weight_q6_k.wgsl" with { type: "text" };
import weightQ80 from "../../shaders/include/weight_q8_0.wgsl" with { type: "text" };
import workgroupSum from "../../shaders/include/workgroup_sum.wgsl" with { type: "text" };

/** Every file of shaders/include by the name that `#include` uses. */
export const INCLUDES: Readonly<Record<string, string>> = {
  "expert_activation.wgsl": expertActivation,
  "kv_load.wgsl": kvLoad,
  "kv_row.wgsl": kvRow,
  "lane_sum.wgsl": laneSum,
  "load_mixed.wgsl": loadMixed,
  "load_x.wgsl": loadX,
  "nibbles.wgsl": nibbles,
  "rope_element.wgsl": ropeElement,
  "row_count.wgsl": rowCount,
  "step.wgsl": step,
  "token_row.wgsl": tokenRow,
  "vec8.wgsl": vec8,
  "weight_bf16.wgsl": weightBf16,
  "weight_f16.wgsl": weightF16,
  "weight_f32.wgsl": weightF32,
  "weight_q4_0.wgsl": weightQ40,
  "weight_q4_1.wgsl": weightQ41,
  "weight_q4_k.wgsl": weightQ4K,
  "weight_q6_k.wgsl": weightQ6K,
  "weight_q8_0.wgsl": weightQ80,
  "workgroup_sum.wgsl": workgroupSum,
};
