// What a format knows of layers (layers.h): "layers" 1, and "image_layers" 1 when it has that too.
#pragma once
#include <singularity/layers.h>

namespace sg {

struct LayerTables {
    const sg_layers_v1* layers = nullptr;  // null: it knows none
    const sg_image_layers_v1* in_image = nullptr;
};

}  // namespace sg
