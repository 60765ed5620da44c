// The test that a model is what its model.yaml says. A model's package links
// `:announced_test` and defines TheModel() once.
#ifndef BULKHEAD_NIC_MODEL_ANNOUNCED_TEST_H_
#define BULKHEAD_NIC_MODEL_ANNOUNCED_TEST_H_

#include "nic_model/model.h"

namespace bulkhead::nic_model {

struct ModelUnderTest {
  const char* name;  // Of its folder.
  MakeModel make;
};

ModelUnderTest TheModel();

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_ANNOUNCED_TEST_H_
