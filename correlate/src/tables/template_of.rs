//! `template_of(namespace, template_id)`: the text of a line's template, which belongs to the tree of the namespace's team.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::common::{internal_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use whyd_buffers::Scoped;
use whyd_signals::TemplateId;

use crate::engine::sql_type;

/// The function over what one caller may see.
pub(super) fn function(scoped: &Scoped) -> ScalarUDF {
    let signature = Signature::user_defined(Volatility::Stable);
    ScalarUDF::from(TemplateOf { scoped: scoped.clone(), signature })
}

#[derive(Debug)]
struct TemplateOf {
    scoped: Scoped,
    signature: Signature,
}

/// A query has one of them.
impl PartialEq for TemplateOf {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for TemplateOf {}

impl Hash for TemplateOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for TemplateOf {
    fn name(&self) -> &'static str {
        "template_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        // An id that is more than JSON's numbers hold is shown as text.
        let (text, id) = (|of: &DataType| of.is_string() || of.is_null(), |of: &DataType| of.is_integer());
        match of {
            [namespace, template] if text(namespace) && (id(template) || text(template)) => {
                Ok(vec![DataType::Utf8, DataType::UInt64])
            }
            _ => plan_err!(
                "template_of takes a namespace and a template_id, as template_of(namespace, template_id), and not ({})",
                of.iter().map(sql_type).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let wrong = || internal_datafusion_err!("template_of takes a namespace and a template_id");
        let [namespaces, ids] = &arrays[..] else { return Err(wrong()) };
        let namespaces = namespaces.as_string_opt::<i32>().ok_or_else(wrong)?;
        let ids = ids.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
        // Lines of the platform have no namespace.
        let text = |(namespace, id): (Option<&str>, Option<u64>)| {
            let template = self.scoped.template(namespace.unwrap_or_default(), TemplateId(id?))?;
            Some(template.text.to_string())
        };
        let texts: StringArray = namespaces.iter().zip(ids.iter()).map(text).collect();
        Ok(ColumnarValue::Array(Arc::new(texts)))
    }
}
